/**
 * A session on a terminal. It belongs to the node and not to the connection that opened it: it owns the program, the recording and
 * the parties, who come and go.
 */

import { joinModes, type Moderation, moderationOf, whenMissing, whoIsMissing } from '../../access/join.ts'
import type { PartyMode } from '../../audit/events.ts'
import { LimitExceeded, NotFound } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { ExitResult, ServerSession, TerminalSize } from '../../ssh/connection/types.ts'
import type { NodeConnection } from '../context.ts'
import { connectionFields, keep, record } from '../node-events.ts'
import type { UserProcess } from '../os/user-process.ts'
import { type SessionFacts, startProgram } from './facts.ts'
import { watchIdle } from './idle.ts'
import { SessionInput } from './input.ts'
import { SessionOutput } from './output.ts'
import { Party, smallestSize } from './party.ts'
import { presentRoles } from './present-roles.ts'
import { openRecording, type SessionRecording } from './recording.ts'
import { ResizeEvents } from './resize-events.ts'
import type { ActiveSession, JoinableSession, SessionStatus } from './sessions.ts'
import { recordEnd, sessionFields } from './trail.ts'

/** With the owner. */
const maxParties = 20
/** Milliseconds for a program to end after its hang-up, before its session ends without it. */
const hangupMs = 5000
const ended: ExitResult = { kind: 'exit', status: 0 }
/** As for all that the node did not let run to its end. */
const cutShort: ExitResult = { kind: 'exit', status: 254 }
const interrupt = 0x03
const endOfInput = 0x04

type PauseReason = 'moderator' | 'missing'

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

export class LiveSession implements ActiveSession, JoinableSession {
  readonly id: string
  readonly user: string
  readonly login: string
  readonly started: Date
  readonly interactive = true
  readonly command: string | undefined
  readonly #facts: SessionFacts
  readonly #moderation: Moderation | undefined
  readonly #parties = new Map<string, Party>()
  readonly #participants = new Set<string>()
  readonly #input = new SessionInput()
  readonly #output: SessionOutput
  readonly #resizes: ResizeEvents
  readonly #pauses = new Set<PauseReason>()
  /** Resolved when the session ends without waiting for its program. */
  readonly #gone = Promise.withResolvers<undefined>()
  readonly #over = new AbortController()
  #connection: NodeConnection
  #owner: Party | undefined
  #recording: SessionRecording | undefined
  #child: UserProcess | undefined
  #size: TerminalSize | undefined
  #terminated: string | undefined
  #detached: { readonly until: Date; readonly back: AbortController } | undefined
  /** While somebody is waited for before the program may start. */
  #complete: (() => void) | undefined

  constructor(facts: SessionFacts) {
    const { identity } = facts.user
    this.id = facts.id
    this.user = identity.user
    this.login = facts.connection.user
    this.started = facts.started
    this.command = facts.program.command
    this.#facts = facts
    this.#connection = facts.connection
    this.#moderation = moderationOf({ user: identity.user, roles: identity.roles })
    this.#resizes = new ResizeEvents(facts)
    this.#output = new SessionOutput({
      env: facts.node.env,
      parties: () => this.#parties.values(),
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

  /** Whose it is, for the rules about joining. */
  get owner() {
    return { user: this.user, roles: this.#facts.user.identity.roleNames }
  }

  get isOver(): boolean {
    return this.#over.signal.aborted
  }

  status(): SessionStatus {
    return {
      columns: this.#size?.columns ?? 0,
      rows: this.#size?.rows ?? 0,
      state: this.#state(),
      detachedUntil: this.#detached?.until,
      parties: [...this.#parties.values()].map((party) => party.status),
      lastActive: this.#output.lastActive,
    }
  }

  #state(): SessionStatus['state'] {
    if (this.#complete !== undefined) return 'waiting'
    if (this.#detached !== undefined) return 'detached'
    return this.#pauses.size > 0 ? 'paused' : 'running'
  }

  // ---- life ----

  async run(recorded: Promise<void>, latestSize: () => TerminalSize | undefined): Promise<void> {
    const { node, session, connection } = this.#facts
    this.#recording = await openRecording(this.#facts, latestSize() ?? session.pty, (reason) => this.terminate(reason))
    this.#output.record(this.#recording)
    const stopReviews = node.onAccessChange(() => this.#reviewParties())
    let result: ExitResult | undefined
    try {
      this.#enter(session, connection, { isOwner: true, painted: true, mode: 'peer', latest: latestSize() })
      node.sessions.add(this)
      recorded.catch((error: unknown) => this.terminate(`this session cannot be recorded: ${messageOf(error)}`))
      if (await this.#everybodyIsThere()) result = await this.#work()
    } catch (error) {
      this.#terminated ??= messageOf(error)
      throw error
    } finally {
      stopReviews()
      this.#over.abort()
      this.#detached?.back.abort()
      node.sessions.remove(this.id)
      this.#recordEnd(result)
    }
    await recorded.catch(() => {})
    await this.#closeAll(result ?? cutShort)
  }

  /** Starts the program and resolves when it has ended; undefined: the session ended first. */
  async #work(): Promise<ExitResult | undefined> {
    const { session } = this.#facts
    const child = await startProgram(this.#facts, this.#size)
    this.#child = child
    session.accept()
    if (child.notice !== undefined) this.#owner?.write(Buffer.from(child.notice))
    this.#input.start(child.stdin)
    for (const party of this.#parties.values()) party.session.channel.resume()
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
    const participants = [...this.#participants]
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

  async #closeAll(result: ExitResult): Promise<void> {
    const parties = [...this.#parties.values()]
    const joined = parties.filter((party) => !party.isOwner)
    for (const party of joined) party.tell('[teleport] the session has ended')
    // One who does not read must not keep the session's last moment from the others.
    for (const party of joined) this.#close(party, ended)
    if (this.#owner !== undefined) await this.#owner.close(result)
  }

  #close(party: Party, result: ExitResult): void {
    const { env } = this.#facts.node
    const cut = env.sleep(hangupMs).then(() => party.session.channel.destroy())
    Promise.race([party.close(result), cut]).catch(() => {})
  }

  terminate(message: string): void {
    if (this.#terminated !== undefined || this.isOver) return
    this.#terminated = message
    this.#tellAll(message)
    this.#output.release('pause')
    this.#child?.hangup()
    if (this.#owner === undefined || this.#child === undefined) this.#end()
    else
      void this.#facts.node.env.sleep(hangupMs, this.#over.signal).then(
        () => this.#end(),
        () => {},
      )
  }

  connectionEnds(connection: NodeConnection, reason: string): void {
    for (const party of [...this.#parties.values()]) {
      if (party.connection !== connection) continue
      if (party.isOwner) this.terminate(reason)
      else this.#drop(party, reason)
    }
  }

  #end(): void {
    this.#complete?.()
    this.#gone.resolve(undefined)
  }

  // ---- parties ----

  /** Throws LimitExceeded when too many are there, NotFound when the session ends just now, and why the event cannot be kept. */
  async join(session: ServerSession, connection: NodeConnection, mode: PartyMode): Promise<void> {
    const tooMany = (): boolean => this.#parties.size >= maxParties
    if (tooMany()) throw new LimitExceeded(`this session has ${maxParties} parties already`)
    const id = this.#facts.node.env.randomUuid()
    await keep(this.#facts.node, { event: 'session.join', ...this.#fieldsOf(connection), party_id: id, mode })
    if (this.isOver || tooMany()) throw new NotFound('the session has just ended or is full')
    session.accept()
    const { user } = connection.identity.identity
    this.#mark(`${user} joined as ${mode}`)
    this.#tellAll(`[teleport] ${user} joined this session as ${mode}`)
    const party = this.#enter(session, connection, { id, isOwner: false, painted: false, mode, latest: undefined })
    await this.#paint(party)
    party.tell(`[teleport] you joined the session of ${this.user} as ${mode}${this.#hint()}`)
    this.#reviewModeration()
  }

  #hint(): string {
    const missing = this.#missing()
    if (missing !== undefined && this.#complete !== undefined) return `; it waits for ${missing}`
    return this.#pauses.size > 0 ? '; it is paused' : ''
  }

  /** The owner comes back, from a lost connection or from another one. */
  async attach(session: ServerSession, connection: NodeConnection): Promise<void> {
    await keep(this.#facts.node, { event: 'session.attach', ...this.#fieldsOf(connection) })
    if (this.isOver) throw new NotFound('the session has just ended')
    session.accept()
    const before = this.#owner
    this.#detached?.back.abort()
    this.#detached = undefined
    this.#owner = undefined
    if (before !== undefined) {
      this.#parties.delete(before.id)
      before.tell('[teleport] you went on with this session on another connection')
      this.#close(before, cutShort)
      this.#output.release('owner')
    }
    this.#mark(`${this.user} came back`)
    this.#tellAll(`[teleport] ${this.user} is back`)
    await this.#paint(
      this.#enter(session, connection, { isOwner: true, painted: false, mode: 'peer', latest: undefined }),
    )
  }

  async #paint(party: Party): Promise<void> {
    const screen = await this.#output.screen()
    // A terminal that showed something else before.
    party.paint(`\x1b[0m\x1b[2J\x1b[H${screen}`)
  }

  #enter(
    session: ServerSession,
    connection: NodeConnection,
    how: {
      readonly id?: string
      readonly isOwner: boolean
      readonly painted: boolean
      readonly mode: PartyMode
      readonly latest: TerminalSize | undefined
    },
  ): Party {
    const { env } = this.#facts.node
    const { id = env.randomUuid(), isOwner, painted, mode } = how
    const party = new Party({
      id,
      session,
      connection,
      mode,
      isOwner,
      joined: env.now(),
      from: this.#output.next,
      painted,
    })
    if (how.latest !== undefined) party.resized(how.latest)
    this.#parties.set(id, party)
    this.#participants.add(party.user)
    if (isOwner) {
      this.#owner = party
      this.#connection = connection
    }
    const { channel } = session
    session.onWindowChange = (size) => {
      party.resized(size)
      this.#fit()
    }
    session.onSignal = (signal) => {
      if (this.#mayType(party)) this.#child?.signal(signal)
    }
    session.onBreak = () => {
      if (this.#mayType(party)) this.#child?.terminal?.sendBreak()
    }
    session.onOutputClosed = () => this.#left(party)
    channel.on('error', () => {})
    // What is typed ahead waits for the program.
    if (this.#child === undefined) channel.pause()
    channel.on('data', (data: Buffer) => this.#typed(party, data))
    const left = (): void => {
      // The connection knows a moment later than the channel whether it was lost.
      setImmediate(() => this.#left(party))
    }
    if (channel.signal.aborted) left()
    else channel.signal.addEventListener('abort', left, { once: true })
    this.#fit()
    this.#facts.node.sessions.changed()
    return party
  }

  #mayType(party: Party): boolean {
    return party.mode === 'peer' && !party.gone && this.#pauses.size === 0 && this.#complete === undefined
  }

  #typed(party: Party, data: Buffer): void {
    if (party.gone) return
    if (this.#mayType(party)) {
      this.#output.lastActive = this.#facts.node.env.monotonicMs()
      this.#input.type(party.session.channel, data)
      return
    }
    if (party.isOwner && this.#complete !== undefined) {
      if (data.includes(interrupt) || data.includes(endOfInput)) this.terminate('[teleport] you stopped waiting')
      return
    }
    if (party.toldReadOnly) return
    party.toldReadOnly = true
    party.tell(
      party.mode === 'peer'
        ? '[teleport] the session is paused: what you type goes nowhere'
        : `[teleport] you are here as ${party.mode}: what you type goes nowhere`,
    )
  }

  /** The party's channel is closed, or it reads no more. */
  #left(party: Party): void {
    if (party.gone || this.#parties.get(party.id) !== party) return
    if (!party.isOwner) {
      this.#leave(party, party.connection.wasLost ? 'the connection was lost' : undefined)
      return
    }
    const keepMs = this.#facts.node.state.config.sessionDetachTimeout * 1000
    const isKept = party.connection.wasLost && keepMs > 0 && this.#child !== undefined && this.#terminated === undefined
    if (isKept) this.#detach(party, keepMs)
    else {
      party.gone = true
      this.#child?.hangup()
      this.#end()
    }
  }

  #detach(party: Party, keepMs: number): void {
    const { env } = this.#facts.node
    party.gone = true
    this.#parties.delete(party.id)
    this.#owner = undefined
    this.#input.forget(party.session.channel)
    this.#output.release('owner')
    const until = new Date(env.now().getTime() + keepMs)
    const back = new AbortController()
    this.#detached = { until, back }
    record(this.#facts.node, { event: 'session.detach', ...sessionFields(this.#facts), until: until.toISOString() })
    this.#mark(`${this.user} lost the connection`)
    this.#tellAll(`[teleport] ${this.user} lost the connection; the session waits for ${keepMs / 1000} s`)
    this.#fit()
    this.#facts.node.sessions.changed()
    env.sleep(keepMs, back.signal).then(
      () => this.terminate('the connection was lost and nobody came back in time'),
      () => {},
    )
  }

  /** Takes one who joined off the session. */
  #leave(party: Party, reason: string | undefined): void {
    party.gone = true
    this.#parties.delete(party.id)
    this.#input.forget(party.session.channel)
    const why = reason === undefined ? {} : { reason }
    const { id: party_id, mode, user } = party
    record(this.#facts.node, { event: 'session.leave', ...this.#fieldsOf(party.connection), party_id, mode, ...why })
    this.#mark(`${user} left`)
    if (this.isOver) return
    this.#tellAll(`[teleport] ${user} left${reason === undefined ? '' : `: ${reason}`}`)
    this.#fit()
    this.#facts.node.sessions.changed()
    this.#reviewModeration()
  }

  #drop(party: Party, reason: string): void {
    if (party.gone) return
    party.tell(`[teleport] you were taken off this session: ${reason}`)
    this.#leave(party, reason)
    this.#close(party, cutShort)
  }

  #fit(): void {
    const size = smallestSize(this.#parties.values())
    const old = this.#size
    if (size === undefined || (old !== undefined && old.columns === size.columns && old.rows === size.rows)) return
    this.#size = size
    if (old === undefined) return
    this.#child?.terminal?.resize(size)
    this.#recording?.tap.resize(size.columns, size.rows)
    this.#resizes.changed(size)
    this.#facts.node.sessions.changed()
  }

  #tellAll(message: string): void {
    for (const party of this.#parties.values()) if (!party.gone) party.tell(message)
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
    const { state } = this.#facts.node
    for (const party of [...this.#parties.values()]) {
      if (party.isOwner) continue
      const roles = presentRoles(party.connection.identity.identity, state)
      party.roles = roles.map((role) => role.metadata.name)
      if (!joinModes({ user: party.user, roles }, this.owner).includes(party.mode)) {
        this.#drop(party, 'the right to take part was taken away')
      }
    }
    this.#reviewModeration()
  }

  #missing(): string | undefined {
    if (this.#moderation === undefined) return undefined
    return whoIsMissing(this.#moderation, this.#present())
  }

  #present() {
    return [...this.#parties.values()].filter((party) => !party.isOwner && !party.gone)
  }

  /** Resolves to false when the session ended instead. */
  async #everybodyIsThere(): Promise<boolean> {
    const missing = this.#missing()
    if (missing === undefined) return true
    this.#facts.session.accept()
    this.#facts.session.channel.resume()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#complete = resolve
    this.#tellAll(
      `[teleport] this session begins when those are present who must be: ${missing}\r\n` +
        `They join with: tsh join ${this.id} --mode=moderator\r\nPress Ctrl-C to give up.`,
    )
    this.#facts.node.sessions.changed()
    await promise
    this.#complete = undefined
    this.#facts.node.sessions.changed()
    return this.#terminated === undefined && this.#owner?.gone !== true
  }

  #reviewModeration(): void {
    if (this.#moderation === undefined || this.isOver) return
    const missing = this.#missing()
    if (this.#complete !== undefined) {
      if (missing === undefined) this.#complete()
      return
    }
    if (this.#child === undefined) return
    if (missing === undefined) this.#resume('missing', '[teleport] the session goes on')
    else if (whenMissing(this.#moderation, this.#present()) === 'terminate') {
      this.terminate(`[teleport] the session ends, since it needs ${missing}`)
    } else this.#pause('missing', `[teleport] the session is paused until it has ${missing}`)
  }

  /** By a moderator, who is asked for the right elsewhere. Rejects when the event cannot be kept. */
  async control(action: 'pause' | 'resume' | 'end', connection: NodeConnection): Promise<void> {
    await keep(this.#facts.node, { event: 'session.control', ...this.#fieldsOf(connection), action })
    const { user } = connection.identity.identity
    this.#mark(`${user}: ${action}`)
    switch (action) {
      case 'pause':
        this.#pause('moderator', `[teleport] ${user} paused the session`)
        return
      case 'resume':
        this.#resume('moderator', `[teleport] ${user} lets the session go on${this.#hint()}`)
        return
      case 'end':
        this.terminate(`[teleport] ${user} ended the session`)
    }
  }

  #pause(reason: PauseReason, message: string): void {
    if (this.#pauses.has(reason)) return
    this.#pauses.add(reason)
    this.#output.hold('pause')
    for (const party of this.#parties.values()) party.toldReadOnly = party.mode !== 'peer' && party.toldReadOnly
    this.#tellAll(message)
    this.#facts.node.sessions.changed()
  }

  #resume(reason: PauseReason, message: string): void {
    if (!this.#pauses.delete(reason)) return
    if (this.#pauses.size === 0) this.#output.release('pause')
    this.#tellAll(message)
    this.#facts.node.sessions.changed()
  }
}
