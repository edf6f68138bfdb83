/**
 * A session on a terminal. It belongs to the node and not to the connection that opened it: it owns the program, the recording and
 * the parties, who come and go.
 */

import { moderationOf } from '../../access/join.ts'
import { announcement, announceVariable, encodeAnnouncement } from '../../api/session-announcement.ts'
import type { PartyMode } from '../../audit/events.ts'
import { LimitExceeded, NotFound } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { ExitResult, ServerSession, TerminalSize } from '../../ssh/connection/types.ts'
import type { NodeConnection } from '../context.ts'
import { connectionFields, keep, record } from '../node-events.ts'
import type { UserProcess } from '../os/user-process.ts'
import { Detachment } from './detachment.ts'
import { type SessionFacts, startProgram } from './facts.ts'
import { watchIdle } from './idle.ts'
import { SessionInput } from './input.ts'
import { SessionOutput } from './output.ts'
import { Parties } from './parties.ts'
import type { Party } from './party.ts'
import { openRecording, type SessionRecording } from './recording.ts'
import { ResizeEvents } from './resize-events.ts'
import { mayStay } from './rights.ts'
import type { ActiveSession, JoinableSession, SessionStatus } from './sessions.ts'
import { Supervision } from './supervision.ts'
import { withoutAnswers } from './terminal-answers.ts'
import { recordEnd } from './trail.ts'
import { givesUp, mayType, tellReadOnly } from './typing.ts'

/** With the owner. */
const maxParties = 20
/** The same user. */
const maxTimes = 4
/** Milliseconds for a program to end after its hang-up, before its session ends without it. */
const hangupMs = 5000
const ended: ExitResult = { kind: 'exit', status: 0 }
/** As for all that the node did not let run to its end. */
const cutShort: ExitResult = { kind: 'exit', status: 254 }

/**
 * Resolves when the session is over. Throws a kind of `src/errors` when it cannot be recorded or its program not be started.
 * `recorded` resolves once the start is on the local disk; nothing is reported to the client before.
 */
export async function serveLive(
  facts: SessionFacts,
  recorded: Promise<void>,
  latestSize: () => TerminalSize | undefined,
): Promise<void> {
  await new LiveSession(facts).run(recorded, latestSize)
}

class LiveSession implements ActiveSession, JoinableSession {
  readonly id: string
  readonly user: string
  readonly login: string
  readonly started: Date
  readonly interactive = true
  readonly command: string | undefined
  readonly #facts: SessionFacts
  readonly #parties: Parties
  readonly #supervision: Supervision
  readonly #input = new SessionInput()
  readonly #output: SessionOutput
  readonly #resizes: ResizeEvents
  readonly #detachment: Detachment
  /** Resolved when the session ends without waiting for its program. */
  readonly #gone = Promise.withResolvers<undefined>()
  readonly #over = new AbortController()
  #connection: NodeConnection
  #recording: SessionRecording | undefined
  #child: UserProcess | undefined
  #terminated: string | undefined

  constructor(facts: SessionFacts) {
    const { identity } = facts.user
    const { sessions, env } = facts.node
    const changed = (): void => sessions.changed()
    this.id = facts.id
    this.user = identity.user
    this.login = facts.connection.user
    this.started = facts.started
    this.command = facts.program.command
    this.#facts = facts
    this.#connection = facts.connection
    this.#resizes = new ResizeEvents(facts)
    this.#detachment = new Detachment(facts, () =>
      this.terminate('the connection was lost and nobody came back in time'),
    )
    this.#parties = new Parties({
      env,
      nextOutput: () => this.#output.next,
      typed: (party, data) => this.#typed(party, data),
      mayType: (party) => mayType(party, this.#supervision),
      signal: (name) => this.#child?.signal(name),
      break: () => this.#child?.terminal?.sendBreak(),
      left: (party) => this.#left(party),
      sized: (size) => this.#sized(size),
      changed,
    })
    this.#supervision = new Supervision(moderationOf({ user: identity.user, roles: identity.roles }), {
      sid: facts.id,
      present: () => this.#parties.others(),
      tellAll: (message) => this.#parties.tellAll(message),
      paused: (is) => this.#paused(is),
      terminate: (message) => this.terminate(message),
      changed,
    })
    this.#output = new SessionOutput({
      env,
      parties: () => this.#parties.each(),
      dropped: (party) => this.#drop(party, 'it did not read what was sent to it'),
      failed: (reason) => this.terminate(reason),
    })
  }

  // ---- what others see ----

  get live(): this {
    return this
  }

  get connection(): NodeConnection {
    return this.#connection
  }

  get owner() {
    return { user: this.user, roles: this.#facts.user.identity.roleNames }
  }

  status(): SessionStatus {
    const { size } = this.#parties
    return {
      columns: size?.columns ?? 0,
      rows: size?.rows ?? 0,
      state: this.#state(),
      detachedUntil: this.#detachment.until,
      parties: this.#parties.all().map((party) => party.status),
      lastActive: this.#output.lastActive,
    }
  }

  #state(): SessionStatus['state'] {
    if (this.#supervision.isWaiting) return 'waiting'
    if (this.#detachment.until !== undefined) return 'detached'
    return this.#supervision.isPaused ? 'paused' : 'running'
  }

  get #isOver(): boolean {
    return this.#over.signal.aborted
  }

  // ---- life ----

  async run(recorded: Promise<void>, latestSize: () => TerminalSize | undefined): Promise<void> {
    const { node, session, connection } = this.#facts
    this.#recording = await openRecording(this.#facts, latestSize() ?? session.pty, (reason) => this.terminate(reason))
    this.#output.record(this.#recording)
    const stopReviews = node.onAccessChange(() => this.#reviewParties())
    let result: ExitResult | undefined
    try {
      // What is typed ahead waits for the program.
      const entry = { isOwner: true, painted: true, mode: 'peer', held: true, size: latestSize() } as const
      this.#parties.enter(session, connection, entry)
      node.sessions.add(this)
      recorded.catch((error: unknown) => this.terminate(`this session cannot be recorded: ${messageOf(error)}`))
      if (await this.#mayBegin()) result = await this.#work()
    } catch (error) {
      this.#terminated ??= messageOf(error)
      this.#closeOthers()
      throw error
    } finally {
      stopReviews()
      this.#over.abort()
      this.#detachment.end()
      node.sessions.remove(this.id)
      this.#recordEnd(result)
    }
    await recorded.catch(() => {})
    this.#closeOthers()
    await this.#parties.owner?.close(result ?? cutShort)
  }

  /** Waits for those who must be there. Resolves to false when the session ended instead. */
  async #mayBegin(): Promise<boolean> {
    const { missing } = this.#supervision
    if (missing !== undefined) {
      const { session } = this.#facts
      session.accept()
      session.channel.resume()
      await this.#supervision.allPresent(missing)
    }
    return this.#terminated === undefined && this.#parties.owner !== undefined
  }

  /** Starts the program and resolves when it has ended; undefined: the session ended first. */
  async #work(): Promise<ExitResult | undefined> {
    const { session } = this.#facts
    const child = await startProgram(this.#facts, this.#parties.size)
    this.#child = child
    session.accept()
    this.#announce(session)
    if (child.notice !== undefined) this.#parties.owner?.write(Buffer.from(child.notice))
    this.#input.start(child.stdin)
    for (const party of this.#parties.all()) party.session.channel.resume()
    // The owner may have gone meanwhile.
    if (this.#terminated !== undefined || session.channel.signal.aborted) child.hangup()
    void watchIdle(
      this.#facts,
      () => this.#output.lastActive,
      this.#over.signal,
      (reason) => this.terminate(reason),
    )
    return await Promise.race([this.#finished(child), this.#gone.promise])
  }

  /** The result, once the program has ended and everything it wrote has been handed to the parties. */
  async #finished(child: UserProcess): Promise<ExitResult> {
    const shown = this.#output.carry(child.stdout)
    const result = await child.exited
    // What the program wrote before a pause is shown after all: nothing more can happen.
    this.#output.release('pause')
    void child.terminal?.drain().catch(() => {})
    await shown
    return result
  }

  #recordEnd(result: ExitResult | undefined): void {
    this.#resizes.flush()
    for (const party of this.#parties.others()) this.#recordLeave(party, 'the session has ended')
    const { participants } = this.#parties
    this.#recording?.tap.end(participants).catch((error: unknown) => {
      this.#facts.node.logger.warn('a recording could not be completed', { sid: this.id, reason: messageOf(error) })
    })
    recordEnd(this.#facts, {
      result,
      participants,
      reason: this.#terminated,
      recording: this.#recording?.mode,
      rx: this.#input.bytes,
      tx: this.#output.bytes,
    })
  }

  #closeOthers(): void {
    for (const party of this.#parties.others()) {
      party.tellLast('[teleport] the session has ended')
      this.#parties.close(party, ended)
    }
  }

  terminate(message: string): void {
    if (this.#terminated !== undefined || this.#isOver) return
    this.#terminated = message
    for (const party of this.#parties.all()) party.tellLast(message)
    this.#output.release('pause')
    this.#child?.hangup()
    if (this.#parties.owner === undefined || this.#child === undefined) this.#end()
    else
      this.#facts.node.env
        .sleep(hangupMs, this.#over.signal)
        .then(() => this.#end())
        .catch(() => {})
  }

  connectionEnds(connection: NodeConnection, reason: string): void {
    for (const party of this.#parties.all()) {
      if (party.connection !== connection) continue
      if (party.isOwner) this.terminate(reason)
      else this.#drop(party, reason)
    }
  }

  #end(): void {
    this.#supervision.stopWaiting()
    this.#gone.resolve(undefined)
  }

  // ---- parties ----

  async join(session: ServerSession, connection: NodeConnection, mode: PartyMode): Promise<void> {
    const { user } = connection.identity.identity
    const checkRoom = (): void => {
      if (this.#parties.count >= maxParties) throw new LimitExceeded(`this session has ${maxParties} parties already`)
      // Nobody may take the places of those who have to be there.
      if (this.#parties.countOf(user) >= maxTimes) throw new LimitExceeded(`you are at this session ${maxTimes} times`)
    }
    checkRoom()
    const id = this.#facts.node.env.randomUuid()
    await keep(this.#facts.node, { event: 'session.join', ...this.#fieldsOf(connection), party_id: id, mode })
    if (this.#isOver) throw new NotFound('the session has just ended')
    checkRoom()
    session.accept()
    this.#mark(`${user} joined as ${mode}`)
    this.#parties.tellAll(`[teleport] ${user} joined this session as ${mode}`)
    const held = this.#child === undefined
    const party = this.#parties.enter(session, connection, { id, isOwner: false, painted: false, mode, held })
    await this.#paint(party)
    party.tell(`[teleport] you joined the session of ${this.user} as ${mode}${this.#supervision.hint}`)
    this.#reviewPresence()
  }

  async attach(session: ServerSession, connection: NodeConnection): Promise<void> {
    await keep(this.#facts.node, { event: 'session.attach', ...this.#fieldsOf(connection) })
    if (this.#isOver || this.#child === undefined) throw new NotFound('the session has just ended, or has not begun')
    session.accept()
    this.#announce(session)
    const before = this.#parties.owner
    this.#detachment.end()
    if (before !== undefined) {
      before.tellLast('[teleport] you went on with this session on another connection')
      this.#takeOff(before)
      this.#parties.close(before, cutShort)
    }
    this.#mark(`${this.user} came back`)
    this.#parties.tellAll(`[teleport] ${this.user} is back`)
    this.#connection = connection
    const entry = { isOwner: true, painted: false, mode: 'peer', held: false } as const
    await this.#paint(this.#parties.enter(session, connection, entry))
  }

  /** To an owner who asked: what to come back to. */
  #announce(session: ServerSession): void {
    if (!session.env.has(announceVariable)) return
    const keepSeconds = Math.min(this.#detachment.keepMs / 1000, 0xffff_ffff)
    session.tell(announcement, encodeAnnouncement({ sid: this.id, keepSeconds }))
  }

  async #paint(party: Party): Promise<void> {
    const screen = await this.#output.screen()
    // A terminal that showed something else before.
    party.paint(`\x1b[0m\x1b[2J\x1b[H${screen}`)
  }

  #typed(party: Party, all: Buffer): void {
    if (party.gone) return
    const data = party.isOwner ? all : withoutAnswers(all)
    if (data.length === 0) return
    if (mayType(party, this.#supervision)) {
      this.#output.lastActive = this.#facts.node.env.monotonicMs()
      this.#input.type(party.session.channel, data)
    } else if (givesUp(party, this.#supervision, data)) this.terminate('[teleport] you stopped waiting')
    else tellReadOnly(party, this.#supervision)
  }

  #left(party: Party): void {
    if (party.gone || !this.#parties.has(party)) return
    if (!party.isOwner) {
      this.#leave(party, party.connection.wasLost ? 'the connection was lost' : undefined)
      return
    }
    const mayWait = this.#detachment.keepMs > 0 && this.#child !== undefined && this.#terminated === undefined
    this.#takeOff(party)
    if (mayWait && party.connection.wasLost) this.#detach()
    else {
      this.#child?.hangup()
      this.#end()
    }
  }

  #takeOff(party: Party): void {
    this.#parties.remove(party)
    this.#input.forget(party.session.channel)
    if (party.isOwner) this.#output.release('owner')
  }

  #detach(): void {
    this.#detachment.begin()
    const seconds = this.#detachment.keepMs / 1000
    this.#mark(`${this.user} lost the connection`)
    this.#parties.tellAll(`[teleport] ${this.user} lost the connection; the session waits for ${seconds} s`)
    this.#facts.node.sessions.changed()
  }

  /** Takes one who joined off the session. */
  #leave(party: Party, reason: string | undefined): void {
    this.#takeOff(party)
    // Who is still there at the end is in the trail already, before the end.
    if (this.#isOver) return
    const { user } = party
    this.#recordLeave(party, reason)
    this.#mark(`${user} left`)
    this.#parties.tellAll(`[teleport] ${user} left${reason === undefined ? '' : `: ${reason}`}`)
    this.#reviewPresence()
  }

  #recordLeave({ id: party_id, mode, connection }: Party, reason: string | undefined): void {
    const why = reason === undefined ? {} : { reason }
    record(this.#facts.node, { event: 'session.leave', ...this.#fieldsOf(connection), party_id, mode, ...why })
  }

  #drop(party: Party, reason: string): void {
    if (party.gone) return
    party.tellLast(`[teleport] you were taken off this session: ${reason}`)
    this.#leave(party, reason)
    this.#parties.close(party, cutShort)
  }

  #sized(size: TerminalSize): void {
    this.#child?.terminal?.resize(size)
    this.#recording?.tap.resize(size.columns, size.rows)
    this.#resizes.changed(size)
    this.#facts.node.sessions.changed()
  }

  #mark(text: string): void {
    this.#recording?.tap.mark(text)
  }

  #fieldsOf(connection: NodeConnection) {
    return { ...connectionFields(this.#facts.node, connection), login: this.login, sid: this.id }
  }

  // ---- rights, moderators ----

  /** Rights may have changed: who may not be here any more is taken off at once. */
  #reviewParties(): void {
    for (const party of this.#parties.others()) {
      if (!mayStay(party, this.owner, this.#facts.node.state)) {
        this.#drop(party, 'the right to take part was taken away')
      }
    }
    this.#reviewPresence()
  }

  #reviewPresence(): void {
    if (!this.#isOver) this.#supervision.review(this.#child !== undefined)
  }

  #paused(is: boolean): void {
    if (!is) {
      this.#output.release('pause')
      return
    }
    this.#output.hold('pause')
    for (const party of this.#parties.each()) if (party.mode === 'peer') party.toldReadOnly = false
  }

  async control(action: 'pause' | 'resume' | 'end', connection: NodeConnection): Promise<void> {
    await keep(this.#facts.node, { event: 'session.control', ...this.#fieldsOf(connection), action })
    const { user } = connection.identity.identity
    this.#mark(`${user}: ${action}`)
    switch (action) {
      case 'pause':
        this.#supervision.pause('moderator', `[teleport] ${user} paused the session`)
        return
      case 'resume':
        this.#supervision.resume('moderator', `[teleport] ${user} lets the session go on`)
        return
      case 'end':
        this.terminate(`[teleport] ${user} ended the session`)
    }
  }
}
