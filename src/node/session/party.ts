/** Somebody at a session's terminal: the owner, or one who joined. What is shown to them, and how large their window is. */

import type { PartyMode } from '../../audit/events.ts'
import { DEFAULT_COLUMNS } from '../../audit/recording/write-cast.ts'
import type { ExitResult, ServerSession, TerminalSize } from '../../ssh/connection/types.ts'
import type { NodeConnection } from '../context.ts'
import { formatAddress } from '../node-events.ts'
import { FullScreen, overlay } from './full-screen.ts'
import type { PartyStatus } from './sessions.ts'

/** Bytes that one who joined may be behind before they are disconnected. */
export const maxBehind = 1024 * 1024
/** A window that is smaller shows a part: nobody who joins may make a session unusable for the others. */
const smallestSide = { columns: 20, rows: 5 }

export interface PartyOptions {
  readonly id: string
  readonly session: ServerSession
  readonly connection: NodeConnection
  readonly mode: PartyMode
  readonly isOwner: boolean
  readonly joined: Date
  /** Output from here on is meant for this party: a number of the session's own count of pieces. */
  readonly from: number
  /** Nothing is shown until `paint`. */
  readonly painted: boolean
}

export class Party {
  readonly id: string
  readonly user: string
  /** Names, as the cluster grants them now. */
  roles: readonly string[]
  readonly mode: PartyMode
  readonly isOwner: boolean
  readonly connection: NodeConnection
  readonly session: ServerSession
  readonly from: number
  readonly #joined: Date
  #size: TerminalSize | undefined
  /** What came while the screen was being fetched. */
  #held: Buffer[] | undefined
  #heldBytes = 0
  readonly #fullScreen = new FullScreen()
  toldReadOnly = false
  gone = false

  constructor(options: PartyOptions) {
    const { identity } = options.connection.identity
    this.id = options.id
    this.user = identity.user
    this.roles = identity.roleNames
    this.mode = options.mode
    this.isOwner = options.isOwner
    this.connection = options.connection
    this.session = options.session
    this.from = options.from
    this.#joined = options.joined
    this.#size = options.session.pty
    this.#held = options.painted ? undefined : []
  }

  /** Undefined: this party has no terminal, or does not say how large it is. */
  get size(): TerminalSize | undefined {
    const size = this.#size
    if (size === undefined || size.columns === 0 || size.rows === 0) return undefined
    if (this.isOwner) return size
    const columns = Math.max(size.columns, smallestSide.columns)
    return { ...size, columns, rows: Math.max(size.rows, smallestSide.rows) }
  }

  resized(size: TerminalSize): void {
    this.#size = size
  }

  /** False: the party takes no more for now; `drain` of its channel tells when it does. */
  write(data: Buffer): boolean {
    if (this.#held !== undefined) {
      this.#held.push(data)
      this.#heldBytes += data.length
      return true
    }
    const { channel } = this.session
    this.#fullScreen.read(data)
    return channel.destroyed || channel.writableEnded || channel.write(data)
  }

  /** Bytes that wait for this party. */
  get behind(): number {
    return this.#heldBytes + this.session.channel.writableLength
  }

  /** Shows the screen as it is, then what came meanwhile. */
  paint(screen: string): void {
    const held = this.#held ?? []
    this.#held = undefined
    this.#heldBytes = 0
    this.write(Buffer.from(screen))
    for (const data of held) this.write(data)
  }

  /** A line of the node's own, over the first row of a program that has the whole screen. */
  tell(message: string): void {
    if (this.#fullScreen.isOn) this.#say(overlay(message, this.size?.columns ?? DEFAULT_COLUMNS))
    else this.tellLast(message)
  }

  /** A line after which nothing is drawn any more. */
  tellLast(message: string): void {
    this.#say(`\r\n${message}\r\n`)
  }

  #say(text: string): void {
    // Output waits for an owner who does not read; what others do at the session must not fill the memory meanwhile.
    if (this.behind <= maxBehind) this.write(Buffer.from(text))
  }

  /** Ends the party's part, after what was written to it has been sent. */
  async close(result: ExitResult): Promise<void> {
    this.gone = true
    if (this.#held !== undefined) this.paint('')
    await this.session.exit(result)
  }

  get status(): PartyStatus {
    const { id, user, mode } = this
    return { id, user, mode, address: formatAddress(this.connection.peer), joined: this.#joined }
  }
}

/** The smallest width and height of all. Undefined: nobody has a terminal. */
export function smallestSize(parties: Iterable<Party>): TerminalSize | undefined {
  let smallest: TerminalSize | undefined
  for (const { size } of parties) {
    if (size === undefined) continue
    if (smallest === undefined) smallest = size
    else {
      smallest = {
        columns: Math.min(smallest.columns, size.columns),
        rows: Math.min(smallest.rows, size.rows),
        // They belong to one window; of several nobody can say.
        widthPixels: 0,
        heightPixels: 0,
      }
    }
  }
  return smallest
}
