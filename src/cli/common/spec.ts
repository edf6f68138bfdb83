/**
 * Commands as data: the parser, the help and the shell completion are made from the same table, so they cannot disagree.
 * The code of a command is loaded only when it runs.
 */

export interface OptionSpec {
  /** As commander writes them: `-l, --login <name>`, `--debug`, `--no-use-local-ssh-agent`. */
  readonly flags: string
  readonly description: string
  /** The option may be given several times; its value is then a list. */
  readonly repeat?: boolean
  readonly choices?: readonly string[]
  readonly hidden?: boolean
}

export interface ArgumentSpec {
  readonly name: string
  readonly description: string
  readonly required?: boolean
  readonly variadic?: boolean
  readonly choices?: readonly string[]
}

/** What a command is given: its values by name, read through typed accessors. */
export interface Invocation {
  readonly options: OptionValues
  readonly args: readonly string[]
  /** The program with everything it knows, for `completion`. */
  readonly program: ProgramSpec
}

/** Returns the exit code; nothing means 0. */
export type CommandRun = (invocation: Invocation) => Promise<number | undefined>

export interface CommandSpec {
  readonly name: string
  readonly summary: string
  readonly aliases?: readonly string[]
  readonly arguments?: readonly ArgumentSpec[]
  readonly options?: readonly OptionSpec[]
  readonly examples?: readonly string[]
  readonly commands?: readonly CommandSpec[]
  /** Everything after the first plain argument is an argument, flags too: `tsh ssh host ls -l`. */
  readonly passThrough?: boolean
  readonly hidden?: boolean
  /** Loads the code. Absent only on a command that has subcommands. */
  readonly load?: () => Promise<CommandRun>
}

export interface ProgramSpec {
  readonly name: 'teleport' | 'tctl' | 'tsh'
  readonly summary: string
  /** Accepted before the command and after it. */
  readonly globalOptions: readonly OptionSpec[]
  readonly commands: readonly CommandSpec[]
}

/** Option values by their camel-case name. */
export class OptionValues {
  readonly #values: ReadonlyMap<string, unknown>

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values
  }

  string(name: string): string | undefined {
    const value = this.#values.get(name)
    return typeof value === 'string' ? value : undefined
  }

  flag(name: string): boolean {
    return this.#values.get(name) === true
  }

  /** For options that exist as `--x` and `--no-x`: undefined when neither was given. */
  tristate(name: string): boolean | undefined {
    const value = this.#values.get(name)
    return typeof value === 'boolean' ? value : undefined
  }

  list(name: string): readonly string[] {
    const value = this.#values.get(name)
    if (typeof value === 'string') return [value]
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
  }
}
