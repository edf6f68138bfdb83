/** Runs a program from its table: parsing by commander, strict about everything it was not told of. */

import { Command, CommanderError, Option } from 'commander'
import { nearest } from '../../common/text.ts'
import { exitCode, reportError, tolerateClosedOutput } from './exit.ts'
import { printable } from './printable.ts'
import { type ArgumentSpec, type CommandSpec, type OptionSpec, OptionValues, type ProgramSpec } from './spec.ts'

/** Parses `argv` (without node and script), runs the command, returns the exit code. Never throws. */
export async function runProgram(spec: ProgramSpec, argv: readonly string[]): Promise<number> {
  tolerateClosedOutput()
  let result: number | undefined
  const program = new Command(spec.name)
  program.description(spec.summary).enablePositionalOptions().helpCommand('help [command]', 'Show help for a command')
  prepare(program)
  for (const option of spec.globalOptions) program.addOption(commanderOption(option))
  for (const command of spec.commands) {
    addCommand(program, command, spec, program, (code) => {
      result = code
    })
  }
  if (argv.length === 0) {
    process.stdout.write(program.helpInformation())
    return exitCode.usage
  }
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return result ?? exitCode.ok
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(spec.name, error)
    if (error.exitCode === 0) return exitCode.ok
    // Commander has printed the line itself; `help` without a command is its other non-zero exit.
    return exitCode.usage
  }
}

function prepare(command: Command): void {
  command
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`${rootName(command)}: ${complaint(command, text)}\n`),
    })
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .showSuggestionAfterError(true)
    .helpOption('-h, --help', 'Show help')
}

/** Commander's complaint on one line; of an unknown option only the name, since the value may be a secret. */
function complaint(command: Command, text: string): string {
  const unknown = /^error: unknown option '(--[^=']+)/.exec(text)?.[1]
  if (unknown === undefined)
    return printable(
      text
        .replace(/^error: /, '')
        .replace(/\n\((Did you mean [^)]*)\)/, '. $1')
        .trim(),
    )
  if (command.options.some(({ long }) => long === unknown)) return `option '${unknown}' takes no value`
  const guess = nearest(
    unknown,
    command.options.flatMap(({ long, hidden }) => (long === undefined || hidden ? [] : [long])),
  )
  return `unknown option '${printable(unknown)}'${guess === undefined ? '' : `. Did you mean ${guess}?`}`
}

function rootName(command: Command): string {
  return command.parent === null ? command.name() : rootName(command.parent)
}

function addCommand(
  parent: Command,
  spec: CommandSpec,
  program: ProgramSpec,
  root: Command,
  done: (code: number | undefined) => void,
): void {
  const command = new Command(spec.name)
  command.description(spec.summary)
  prepare(command)
  for (const alias of spec.aliases ?? []) command.alias(alias)
  for (const argument of spec.arguments ?? []) {
    const declared = command.createArgument(argumentText(argument), argument.description)
    command.addArgument(argument.choices === undefined ? declared : declared.choices([...argument.choices]))
  }
  const own = spec.options ?? []
  for (const option of own) command.addOption(commanderOption(option))
  const taken = new Set(command.options.flatMap((option) => [option.short, option.long]))
  for (const option of program.globalOptions) {
    const global = commanderOption(option)
    if (taken.has(global.long)) continue
    // A command's own -p or -l wins over a global option's short form.
    if (global.short !== undefined && taken.has(global.short)) {
      command.addOption(commanderOption({ ...option, flags: option.flags.replace(/^-\w, /, '') }))
    } else command.addOption(global)
  }
  if (spec.passThrough === true) command.passThroughOptions()
  if (spec.examples !== undefined) {
    command.addHelpText('after', `\nExamples:\n${spec.examples.map((line) => `  ${line}`).join('\n')}`)
  }
  for (const child of spec.commands ?? []) addCommand(command, child, program, root, done)
  const { load } = spec
  if (load !== undefined) {
    command.action(async (...given: unknown[]) => {
      const run = await load()
      const values = new Map<string, unknown>()
      for (const level of [root, command.parent ?? root, command]) {
        for (const [name, value] of Object.entries(level.opts())) {
          if (level.getOptionValueSource(name) === 'cli') values.set(name, value)
        }
      }
      const args = given.slice(0, -2).flatMap((value) => (value === undefined ? [] : value)) as string[]
      done(await run({ options: new OptionValues(values), args, program }))
    })
  } else command.enablePositionalOptions()
  parent.addCommand(command, spec.hidden === true ? { hidden: true } : {})
}

function argumentText(argument: ArgumentSpec): string {
  const inner = argument.variadic === true ? `${argument.name}...` : argument.name
  return argument.required === true ? `<${inner}>` : `[${inner}]`
}

function commanderOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.description)
  if (spec.choices !== undefined) option.choices([...spec.choices])
  if (spec.repeat === true) {
    option.argParser((value: string, previous: string[] | undefined) => [...(previous ?? []), value])
  }
  if (spec.hidden === true) option.hideHelp()
  return option
}
