/** Everybody at one session: who comes, who goes, what all are told, and the size that fits all. */

import type { PartyMode } from '../../audit/events.ts'
import type { Env } from '../../common/env.ts'
import type { ExitResult, ServerSession, TerminalSize } from '../../ssh/connection/types.ts'
import type { NodeConnection } from '../context.ts'
import { Party, smallestSize } from './party.ts'

/** Milliseconds that a party has for reading what it was sent, when it is closed. */
const closeMs = 5000
/** Milliseconds between two sizes of the terminal. */
const resizeMs = 50

export interface PartiesHost {
  readonly env: Env
  /** The number of the next piece of output. */
  nextOutput(): number
  typed(party: Party, data: Buffer): void
  mayType(party: Party): boolean
  signal(name: string): void
  break(): void
  /** The party's channel is closed, or it reads no more. Called more than once. */
  left(party: Party): void
  /** The terminal should have another size. */
  sized(size: TerminalSize): void
  /** A listing shows something else now. */
  changed(): void
}

export interface Entry {
  readonly id?: string
  readonly isOwner: boolean
  /** False: nothing is shown before the screen is painted. */
  readonly painted: boolean
  readonly mode: PartyMode
  /** What is typed waits until the channel is resumed. */
  readonly held: boolean
  /** When the window has changed since the terminal was asked for. */
  readonly size?: TerminalSize | undefined
}

export class Parties {
  readonly #host: PartiesHost
  readonly #all = new Map<string, Party>()
  /** Names of all who were ever there. */
  readonly #participants = new Set<string>()
  #owner: Party | undefined
  #size: TerminalSize | undefined
  #fitted = false
  #fitAgain = false

  constructor(host: PartiesHost) {
    this.#host = host
  }

  get count(): number {
    return this.#all.size
  }

  countOf(user: string): number {
    return this.all().filter((party) => party.user === user).length
  }

  get owner(): Party | undefined {
    return this.#owner
  }

  /** That of the terminal; it stays when nobody is there. */
  get size(): TerminalSize | undefined {
    return this.#size
  }

  get participants(): readonly string[] {
    return [...this.#participants]
  }

  all(): readonly Party[] {
    return [...this.#all.values()]
  }

  /** Without a copy: for every piece of output. */
  each(): Iterable<Party> {
    return this.#all.values()
  }

  others(): readonly Party[] {
    return this.all().filter((party) => !party.isOwner)
  }

  has(party: Party): boolean {
    return this.#all.get(party.id) === party
  }

  enter(session: ServerSession, connection: NodeConnection, entry: Entry): Party {
    const { env } = this.#host
    const { id = env.randomUuid(), isOwner, painted, mode } = entry
    const from = this.#host.nextOutput()
    const party = new Party({ id, session, connection, mode, isOwner, joined: env.now(), from, painted })
    if (entry.size !== undefined) party.resized(entry.size)
    this.#all.set(id, party)
    this.#participants.add(party.user)
    if (isOwner) this.#owner = party
    this.#listen(party, entry.held)
    this.fit()
    this.#host.changed()
    return party
  }

  #listen(party: Party, held: boolean): void {
    const { session } = party
    const { channel } = session
    session.onWindowChange = (size) => {
      party.resized(size)
      this.fit()
    }
    // Clients pass on the signals that end them: one who leaves so must not end the program of the others.
    session.onSignal = (name) => {
      if (party.isOwner && this.#host.mayType(party)) this.#host.signal(name)
    }
    session.onBreak = () => {
      if (this.#host.mayType(party)) this.#host.break()
    }
    session.onOutputClosed = () => this.#host.left(party)
    channel.on('error', () => {})
    if (held) channel.pause()
    channel.on('data', (data: Buffer) => this.#host.typed(party, data))
    const left = (): void => {
      // The connection knows a moment later than the channel whether it was lost.
      setImmediate(() => this.#host.left(party))
    }
    if (channel.signal.aborted) left()
    else channel.signal.addEventListener('abort', left, { once: true })
  }

  /** Takes the party off; its channel stays as it is. */
  remove(party: Party): void {
    party.gone = true
    this.#all.delete(party.id)
    if (this.#owner === party) this.#owner = undefined
    this.fit()
    this.#host.changed()
  }

  tellAll(message: string): void {
    for (const party of this.#all.values()) if (!party.gone) party.tell(message)
  }

  /** The size follows the smallest window: at once, but not more often than programs can redraw. */
  fit(): void {
    if (this.#fitted) {
      this.#fitAgain = true
      return
    }
    if (!this.#resize()) return
    this.#fitted = true
    void this.#host.env.sleep(resizeMs).then(() => {
      this.#fitted = false
      if (!this.#fitAgain) return
      this.#fitAgain = false
      this.fit()
    })
  }

  /** Whether the terminal has another size now. */
  #resize(): boolean {
    const size = smallestSize(this.#all.values())
    const old = this.#size
    if (size === undefined || (old !== undefined && old.columns === size.columns && old.rows === size.rows))
      return false
    this.#size = size
    if (old === undefined) return false
    this.#host.sized(size)
    return true
  }

  /** One who does not read must not keep the others waiting. */
  close(party: Party, result: ExitResult): void {
    const cut = this.#host.env.sleep(closeMs).then(() => party.session.channel.destroy())
    Promise.race([party.close(result), cut]).catch(() => {})
  }
}
