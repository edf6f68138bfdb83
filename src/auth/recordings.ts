/**
 * Recordings from the auth service's side: who may see which, and the events that go with them. A user sees what their roles' rules for
 * `session` allow, and sessions that they took part in unless a rule denies them; no others exist for them.
 */

import { createHash } from 'node:crypto'
import { type Authorized, authorizeRecording } from '../access/authorize.ts'
import { checkRule } from '../access/rules.ts'
import type { Caller } from '../api/caller.ts'
import type { RecordingPage, RecordingQuery, RecordingStore } from '../audit/recording/store.ts'
import type { Chunk, RecordingSummary } from '../audit/recording/types.ts'
import type { Env } from '../common/env.ts'
import { LimitExceeded, NotFound } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import { GuardedRecordings } from './guarded-recordings.ts'
import type { Hub } from './hub.ts'
import { actorOf } from './permits.ts'

/** Milliseconds between looks at a running recording. */
const FOLLOW_MS = 500
/** Milliseconds without anything new after which a follower hears that we are still there. */
const QUIET_MS = 10_000
const MAX_READERS = 256
const MAX_READERS_EACH = 32
/** Compressed bytes that make one picture of a screen: some seconds of a flood. */
const THUMBNAIL_BYTES = 2 * 1024 * 1024
/** How far a node's clock may be behind ours. */
const SKEW_MS = 60_000

export type RecordingUse = 'play' | 'export' | 'text' | 'thumbnail'

export class Recordings {
  readonly #store: GuardedRecordings
  readonly #audit: Audit
  readonly #hub: Pick<Hub, 'user'>
  readonly #env: Env
  /** How many are being read, by who reads. */
  readonly #readers = new Map<string, number>()

  constructor(options: {
    readonly recordings: RecordingStore
    readonly audit: Audit
    readonly hub: Pick<Hub, 'user'>
    readonly env: Env
  }) {
    this.#store = new GuardedRecordings(options.recordings)
    this.#audit = options.audit
    this.#hub = options.hub
    this.#env = options.env
  }

  /** A search shows what was on screens, so it is in the audit log before its answer. Throws BadParameter for a malformed search or cursor. */
  async list(caller: Caller, query: RecordingQuery): Promise<RecordingPage> {
    const page = await this.#visible(caller, query)
    const { search } = query
    if (search !== undefined) {
      await this.#audit.emit({
        event: 'session.recording.access',
        user: caller.name,
        action: 'search',
        search,
        'addr.remote': caller.address,
      })
    }
    return page
  }

  /** With conditions in the rules, a page may be shorter than asked for, with more to come. */
  async #visible(caller: Caller, query: RecordingQuery): Promise<RecordingPage> {
    const page = await this.#store.list(mayListOthers(caller) ? query : this.#own(caller, query))
    return { ...page, recordings: page.recordings.filter((found) => this.#permit(caller, 'list', found) !== undefined) }
  }

  #own(caller: Caller, query: RecordingQuery): RecordingQuery {
    const since = this.#since(caller) ?? this.#env.now()
    const from = query.from === undefined || query.from < since ? since : query.from
    return { ...query, from, participant: caller.name }
  }

  /** Throws NotFound, for one that they may not see too. */
  async get(caller: Caller, sid: string): Promise<RecordingSummary> {
    return (await this.#readable(caller, sid)).target
  }

  async #readable(caller: Caller, sid: string): Promise<Authorized<RecordingSummary>> {
    const found = await this.#store.about(sid)
    const permit = found === undefined ? undefined : this.#permit(caller, 'read', found)
    if (permit === undefined) throw new NotFound(`there is no recording ${sid}`)
    return permit
  }

  /**
   * Chunks from the keyframe at or before that time (milliseconds since the start). That they are read is in the audit log before the
   * first one comes. With `follow` it goes on until the recording ends; `undefined` says that nothing is new. A thumbnail gets what is
   * needed for the screen of that time and nothing after it, so that the smaller word in the log is never for more.
   */
  async *read(
    caller: Caller,
    sid: string,
    use: { readonly at: number; readonly action: RecordingUse; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<Chunk | undefined> {
    await this.get(caller, sid)
    const leave = this.#takePlace(caller)
    try {
      await this.#audit.emit({
        event: 'session.recording.access',
        user: caller.name,
        sid,
        action: use.action,
        'addr.remote': caller.address,
      })
      if (use.action === 'thumbnail') yield* this.#screen(caller, sid, use.at, signal)
      else yield* this.#chunks(caller, sid, use, signal)
    } finally {
      leave()
    }
  }

  async *#screen(caller: Caller, sid: string, at: number, signal: AbortSignal): AsyncGenerator<Chunk> {
    let bytes = 0
    for await (const chunk of this.#chunks(caller, sid, { at, follow: false }, signal)) {
      if (chunk === undefined) continue
      bytes += chunk.data.length
      if (chunk.index > 0 && chunk.fromMs > at) return
      yield chunk
      if (bytes > THUMBNAIL_BYTES) return
    }
  }

  async *#chunks(
    caller: Caller,
    sid: string,
    use: { readonly at: number; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<Chunk | undefined> {
    let next = await this.#store.start(await this.#readable(caller, sid), use.at)
    let quietMs = 0
    for (;;) {
      // Asked first: what came before the end is then there.
      const permit = await this.#readable(caller, sid)
      const before = next
      for await (const chunk of this.#store.read(permit, next, signal)) {
        yield chunk
        next = chunk.index + 1
      }
      if (!use.follow || permit.target.state !== 'running') return
      quietMs = next === before ? quietMs + FOLLOW_MS : 0
      if (quietMs >= QUIET_MS) {
        yield undefined
        quietMs = 0
      }
      await this.#env.sleep(FOLLOW_MS, signal)
    }
  }

  /** Each reader has files open. Throws LimitExceeded. */
  #takePlace({ name }: Caller): () => void {
    const mine = this.#readers.get(name) ?? 0
    const all = this.#readers.values().reduce((sum, count) => sum + count, 0)
    if (mine >= MAX_READERS_EACH || all >= MAX_READERS) {
      throw new LimitExceeded('too many recordings are watched at once; close some, or try again in a moment')
    }
    this.#readers.set(name, mine + 1)
    return () => {
      const left = (this.#readers.get(name) ?? 1) - 1
      if (left === 0) this.#readers.delete(name)
      else this.#readers.set(name, left)
    }
  }

  #permit(
    caller: Caller,
    verb: 'list' | 'read',
    recording: RecordingSummary,
  ): Authorized<RecordingSummary> | undefined {
    const { sid: name, user, login, participants, serverId, serverHostname } = recording
    const since = this.#since(caller)
    const own = since !== undefined && Date.parse(recording.started) >= since.getTime()
    const tookPart = own && (user === caller.name || participants.includes(caller.name))
    const facts = { name, session: { user, login, participants, serverId, serverHostname } }
    return authorizeRecording(actorOf(caller), verb, recording, { facts, tookPart })
  }

  /** From when on this name is theirs: recordings of an earlier user of the same name are not. */
  #since(caller: Caller): Date | undefined {
    const user = this.#hub.user(caller.name)
    return user === undefined ? undefined : new Date(Date.parse(user.created) - SKEW_MS)
  }
}

/** May there be recordings of others that they may list? */
function mayListOthers(caller: Caller): boolean {
  if (caller.user === undefined) return caller.role !== 'User'
  return checkRule(caller.user, { kind: 'session', verb: 'list', perhaps: true }).allow
}

/** Tells the audit log that a recording is complete, under an id that is the same each time: told twice, it is there once. */
export function announceUpload(audit: Audit, recording: RecordingSummary): Promise<void> {
  const { sid, user, login, serverId, serverHostname, chunks, bytes, chain, state } = recording
  return audit.emit(
    {
      event: 'session.upload',
      sid,
      user,
      login,
      server_id: serverId,
      server_hostname: serverHostname,
      chunks,
      size: bytes,
      sha256: chain,
      ...(state === 'interrupted' ? { interrupted: true } : {}),
    },
    uploadUid(sid),
  )
}

/** A UUID (RFC 9562, version 8) made of the session's. */
export function uploadUid(sid: string): string {
  const hex = createHash('sha256').update(`session.upload ${sid}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
