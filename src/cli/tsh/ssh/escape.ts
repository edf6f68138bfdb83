/** The `~.` family: typed at the beginning of a line in a session with a terminal. */

export type EscapeAction = 'disconnect' | 'suspend' | 'help' | 'list' | ModeratorAction
export type ModeratorAction = 'pause' | 'resume' | 'end'

/** Looks through what is typed; returns what is to be sent. One instance for each session. */
export class EscapeFilter {
  readonly #escape: number
  readonly #act: (action: EscapeAction) => void
  readonly #actions: ReadonlyMap<number, EscapeAction>
  #lineStart = true
  #pending = false

  /** `character` is one in ASCII. A moderator has more actions than others. */
  constructor(character: string, act: (action: EscapeAction) => void, isModerator = false) {
    this.#escape = character.charCodeAt(0)
    this.#act = act
    this.#actions = isModerator ? moderatorActions : actions
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
      const action = this.#actions.get(byte)
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

const moderatorActions: ReadonlyMap<number, EscapeAction> = new Map([
  ...actions,
  [0x70, 'pause'],
  [0x72, 'resume'],
  [0x74, 'end'],
])

/** What `~?` prints. */
export const escapeHelp = (character: string, isModerator = false): string =>
  [
    'Supported escape sequences:',
    ` ${character}.   - ${isModerator ? 'leave' : 'terminate'} the session`,
    ...(isModerator
      ? [
          ` ${character}p   - pause the session`,
          ` ${character}r   - let it go on`,
          ` ${character}t   - end it for everybody`,
        ]
      : []),
    ` ${character}^Z  - suspend tsh`,
    ` ${character}#   - list forwards`,
    ` ${character}?   - this message`,
    ` ${character}${character}   - send the escape character by typing it twice`,
    '(Escapes are recognised only at the beginning of a line.)',
    '',
  ].join('\r\n')
