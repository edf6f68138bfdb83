/** The `~.` family: typed at the beginning of a line in a session with a terminal. */

export type EscapeAction = 'disconnect' | 'suspend' | 'help' | 'list'

/** Looks through what is typed; returns what is to be sent. One instance for each session. */
export class EscapeFilter {
  readonly #escape: number
  readonly #act: (action: EscapeAction) => void
  #lineStart = true
  #pending = false

  /** `character` is one in ASCII. */
  constructor(character: string, act: (action: EscapeAction) => void) {
    this.#escape = character.charCodeAt(0)
    this.#act = act
  }

  filter(input: Buffer): Buffer {
    // The ordinary keystroke costs one comparison and no copy.
    if (!this.#pending && !(this.#lineStart && input[0] === this.#escape) && !this.#startsLineInside(input)) {
      const last = input.at(-1)
      if (last !== undefined) this.#lineStart = last === 13 || last === 10
      return input
    }
    const output: number[] = []
    for (const byte of input) this.#byte(byte, output)
    return Buffer.from(output)
  }

  #startsLineInside(input: Buffer): boolean {
    for (let at = input.indexOf(this.#escape, 1); at > 0; at = input.indexOf(this.#escape, at + 1)) {
      if (input[at - 1] === 13 || input[at - 1] === 10) return true
    }
    return false
  }

  #byte(byte: number, output: number[]): void {
    if (this.#pending) {
      this.#pending = false
      const action = actions.get(byte)
      if (action !== undefined) {
        this.#lineStart = true
        this.#act(action)
        return
      }
      // Twice the character sends it once; anything else sends both.
      if (byte !== this.#escape) output.push(this.#escape)
      output.push(byte)
      this.#lineStart = byte === 13 || byte === 10
      return
    }
    if (this.#lineStart && byte === this.#escape) {
      this.#pending = true
      return
    }
    output.push(byte)
    this.#lineStart = byte === 13 || byte === 10
  }
}

const actions: ReadonlyMap<number, EscapeAction> = new Map([
  [0x2e, 'disconnect'],
  [0x1a, 'suspend'],
  [0x3f, 'help'],
  [0x23, 'list'],
])

/** What `~?` prints. */
export const escapeHelp = (character: string): string =>
  [
    'Supported escape sequences:',
    ` ${character}.   - terminate the session`,
    ` ${character}^Z  - suspend tsh`,
    ` ${character}#   - list forwards`,
    ` ${character}?   - this message`,
    ` ${character}${character}   - send the escape character by typing it twice`,
    '(Escapes are recognised only at the beginning of a line.)',
    '',
  ].join('\r\n')
