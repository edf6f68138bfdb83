/**
 * The default store of recordings: files below one directory. Content is written before its line in the index, both are on the disk before
 * a chunk is acknowledged, and whatever a crash leaves beyond that is cut when the node comes back with the chunk. Everything else
 * (the list, the search) is derived from these files.
 */

import { isDeepStrictEqual } from 'node:util'
import { type Env, realEnv } from '../../common/env.ts'
import { ensurePrivateDir } from '../../common/files.ts'
import { type Logger, silentLogger } from '../../common/log.ts'
import { AccessDenied, AlreadyExists, BadParameter, CompareFailed, isNotFound, NotFound } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { Catalogue } from './catalogue.ts'
import { ThreadCatalogue } from './catalogue-client.ts'
import { checkChunk, MAX_CHUNKS } from './check-chunk.ts'
import { checkSid, fileOf, locate, locateAny, withFile } from './disk.ts'
import { linkOf, loadState, readRecord, repair, type State, summaryOf } from './load.ts'
import { readChunks, seekChunk } from './read-files.ts'
import { type FreeSpace, Room } from './room.ts'
import type { Progress, RecordingPage, RecordingQuery, RecordingStore, RecordingVerdict } from './store.ts'
import { Turns } from './turns.ts'
import type { Chunk, RecordingEnd, RecordingHeader, RecordingSummary, StoredChunkInfo } from './types.ts'
import { verifyFiles } from './verify-files.ts'
import { allRecordings, findUnfinished } from './walk.ts'
import { appendChunk, createFiles, headerLine, infoOf, markTold, removeFiles, writeEnd } from './write-files.ts'

export interface DirectoryOptions {
  /** Bytes of the file system that recordings leave free, at most 5 % of it. Default 256 MiB. */
  readonly reserveBytes?: number
  /**
   * Told of each recording that became complete, before `complete` answers; again at the next start when it threw, or when the process
   * ended meanwhile. So it may be told twice of one, and never of none.
   */
  readonly onComplete?: (summary: RecordingSummary) => Promise<void>
  readonly env?: Env
  readonly logger?: Logger
  /** Called between the steps of a change, for tests that look at the disk there. */
  readonly onStep?: (step: string) => Promise<void>
  /** Instead of asking the file system, for tests. */
  readonly freeSpace?: FreeSpace
  /** Instead of the one with a thread of its own, for tests. */
  readonly catalogue?: Catalogue
}

const DEFAULT_RESERVE_BYTES = 256 * 1024 * 1024
/** States in memory, a few hundred bytes each. */
const MAX_STATES = 4096
const WAITING_BYTES = 64 * 1024 * 1024
/** Each has at most four files open. */
const RUNNING = 16
const ABANDONED_MS = 30 * 24 * 60 * 60_000

/** Makes the directory when it is missing. Throws the errors of `ensurePrivateDir`. */
export async function openRecordingDirectory(
  root: string,
  options: DirectoryOptions = {},
): Promise<DirectoryRecordings> {
  await ensurePrivateDir(root)
  const { env = realEnv, logger = silentLogger } = options
  const store = new DirectoryRecordings(root, options.catalogue ?? new ThreadCatalogue(root, env, logger), options)
  store.finishUnfinished()
  return store
}

class DirectoryRecordings implements RecordingStore {
  readonly #root: string
  readonly #catalogue: Catalogue
  readonly #room: Room
  readonly #logger: Logger
  readonly #env: Env
  readonly #onComplete: (summary: RecordingSummary) => Promise<void>
  readonly #step: (step: string) => Promise<void>
  readonly #turns = new Turns({ running: RUNNING, waitingBytes: WAITING_BYTES })
  /** In order of use, oldest first. Read from the disk again when it is not here. */
  readonly #states = new Map<string, State>()
  /** Chunks that are surely on the disk, of recordings where a write failed and could not be undone. */
  readonly #doubts = new Map<string, number>()
  #finishing: Promise<void> = Promise.resolve()
  #closed = false

  constructor(root: string, catalogue: Catalogue, options: DirectoryOptions) {
    const { env = realEnv, logger = silentLogger } = options
    this.#root = root
    this.#catalogue = catalogue
    this.#logger = logger
    this.#env = env
    const { reserveBytes = DEFAULT_RESERVE_BYTES, freeSpace } = options
    this.#room = new Room({ directory: root, reserveBytes, env, logger, freeSpace })
    this.#onComplete = options.onComplete ?? (async () => undefined)
    this.#step = options.onStep ?? (async () => undefined)
  }

  begin(header: RecordingHeader): Promise<Progress> {
    return this.#turn(header.sid, 0, async () => {
      const known = await this.#find(header.sid)
      if (known === undefined) return progressOf(await this.#create(header))
      if (known.header.serverId !== header.serverId) throw foreign()
      if (known.end !== undefined) throw new AlreadyExists('the recording is complete')
      return progressOf(known)
    })
  }

  append(sid: string, serverId: string, chunk: Chunk): Promise<Progress> {
    return this.#turn(sid, chunk.data.length, async () => {
      const state = await this.#own(sid, serverId)
      if (chunk.index < state.chunks) return this.#again(state, chunk)
      if (chunk.index > state.chunks || state.end !== undefined) throw wanted(state)
      if (chunk.index >= MAX_CHUNKS) throw new BadParameter('index', `a recording has at most ${MAX_CHUNKS} chunks`)
      if (chunk.fromMs < (state.last?.fromMs ?? 0)) {
        throw new BadParameter('fromMs', 'the chunk begins before the one before it')
      }
      await checkChunk(chunk)
      await this.#room.check()
      return progressOf(await this.#write(state, chunk))
    })
  }

  complete(sid: string, serverId: string, end: RecordingEnd): Promise<RecordingSummary> {
    return this.#turn(sid, 0, async () => {
      const state = await this.#own(sid, serverId)
      if (state.end === undefined && (end.chunks !== state.chunks || end.chain !== linkOf(state))) throw wanted(state)
      return summaryOf(await this.#tell(state.end === undefined ? await this.#end(state, end) : state))
    })
  }

  async get(sid: string): Promise<RecordingSummary | undefined> {
    const state = await this.#look(sid)
    return state === undefined ? undefined : summaryOf(state)
  }

  list(query: RecordingQuery): Promise<RecordingPage> {
    return this.#catalogue.list(query)
  }

  async seek(sid: string, atMs: number): Promise<StoredChunkInfo> {
    return seekChunk(await this.#existing(sid), atMs)
  }

  async *read(sid: string, from: number, signal?: AbortSignal): AsyncGenerator<Chunk & StoredChunkInfo> {
    yield* readChunks(await this.#existing(sid), from, signal)
  }

  async verify(sid: string, expected?: string): Promise<RecordingVerdict> {
    checkSid(sid)
    const directory = this.#states.get(sid)?.directory ?? (await locateAny(this.#root, sid))
    if (directory === undefined) throw missing(sid)
    // In its turn, since a chunk that is on its way is no part of it yet.
    const known = await this.#turn(sid, 0, async () => this.#states.get(sid))
    const acknowledged = known === undefined ? undefined : progressOf(known)
    return verifyFiles(directory, sid, acknowledged, expected)
  }

  alarm(): Promise<string | undefined> {
    return this.#room.alarm()
  }

  all(): AsyncGenerator<RecordingSummary> {
    return allRecordings(this.#root)
  }

  async removeBefore(before: Date): Promise<readonly string[]> {
    const removed: string[] = []
    const abandoned = Math.min(before.getTime(), this.#env.now().getTime() - ABANDONED_MS)
    for await (const { sid, started, ended, durationMs } of this.all()) {
      const begin = Date.parse(started)
      if (begin >= before.getTime()) break
      if (ended === undefined ? begin + durationMs >= abandoned : Date.parse(ended) >= before.getTime()) continue
      await this.#turn(sid, 0, () => this.#remove(sid))
      removed.push(sid)
    }
    return removed
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#finishing
    await this.#turns.idle()
    await this.#catalogue.close()
  }

  /** What the last process left half done: in the background, since nothing waits for it. */
  finishUnfinished(): void {
    this.#finishing = this.#finishAll().catch((error: unknown) => {
      this.#logger.error('the recordings that the last run left could not be looked through', {
        error: messageOf(error),
      })
    })
  }

  async #finishAll(): Promise<void> {
    for await (const { sid, removing } of findUnfinished(this.#root)) {
      if (this.#closed) return
      try {
        if (removing) await this.#turn(sid, 0, () => this.#remove(sid))
        else await this.#turn(sid, 0, async () => void (await this.#tell(await this.#existing(sid))))
      } catch (error) {
        this.#logger.warn('a recording could not be finished; the next start tries again', {
          sid,
          error: messageOf(error),
        })
      }
    }
  }

  #turn<T>(sid: string, bytes: number, work: () => Promise<T>): Promise<T> {
    checkSid(sid)
    return this.#turns.run(sid, bytes, work)
  }

  /** For changes: repaired, and one at a time. */
  async #find(sid: string): Promise<State | undefined> {
    const cached = this.#states.get(sid)
    if (cached !== undefined) return this.#keep(cached)
    const directory = await locate(this.#root, sid)
    if (directory === undefined) return undefined
    const state = await repair(await loadState(directory, sid, this.#doubts.get(sid)))
    this.#doubts.delete(sid)
    return this.#keep(state)
  }

  /** For readers: as far as it is there. */
  async #look(sid: string): Promise<State | undefined> {
    checkSid(sid)
    const cached = this.#states.get(sid)
    if (cached !== undefined) return cached
    const directory = await locate(this.#root, sid)
    if (directory === undefined) return undefined
    try {
      return await loadState(directory, sid, this.#doubts.get(sid))
    } catch (error) {
      // Removed in between.
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async #existing(sid: string): Promise<State> {
    const state = await this.#look(sid)
    if (state === undefined) throw missing(sid)
    return state
  }

  async #own(sid: string, serverId: string): Promise<State> {
    const state = await this.#find(sid)
    if (state === undefined) throw missing(sid)
    if (state.header.serverId !== serverId) throw foreign()
    return state
  }

  #keep(state: State): State {
    const { sid } = state.header
    this.#states.delete(sid)
    this.#states.set(sid, state)
    const [oldest] = this.#states.keys()
    if (this.#states.size > MAX_STATES && oldest !== undefined) this.#states.delete(oldest)
    return state
  }

  async #create(header: RecordingHeader): Promise<State> {
    const line = headerLine(header)
    await this.#room.check()
    const state = await createFiles(this.#root, header, line, this.#step)
    this.#catalogue.changed(state.directory, summaryOf(state))
    return this.#keep(state)
  }

  /** A chunk that is there already. */
  async #again(state: State, chunk: Chunk): Promise<Progress> {
    const { directory, header, headerBytes } = state
    const record = await withFile(fileOf(directory, header.sid, 'index'), 'read', (file) =>
      readRecord(file, headerBytes, chunk.index),
    )
    if (record === undefined || !isDeepStrictEqual(infoOf(record), infoOf(chunk))) throw wanted(state)
    return progressOf(state)
  }

  async #write(state: State, chunk: Chunk): Promise<State> {
    const after = await appendChunk(state, chunk, this.#step, (takeBack) => this.#undo(state, takeBack))
    this.#keep(after)
    this.#catalogue.changed(after.directory, summaryOf(after), chunk.textBytes)
    return after
  }

  /** What is on the disk is in doubt until the chunk that failed is surely away. */
  async #undo({ header: { sid }, chunks }: State, takeBack: () => Promise<void>): Promise<void> {
    this.#states.delete(sid)
    this.#doubts.set(sid, chunks)
    try {
      await takeBack()
      this.#doubts.delete(sid)
    } catch (error) {
      this.#logger.error(
        'a chunk that could not be stored could not be taken back either; the next one is put in its place',
        {
          sid,
          error: messageOf(error),
        },
      )
    }
  }

  async #end(state: State, end: RecordingEnd): Promise<State> {
    const { directory, header } = state
    await writeEnd(state, end, this.#step)
    this.#states.delete(header.sid)
    const ended = await loadState(directory, header.sid)
    this.#catalogue.changed(directory, summaryOf(ended))
    return this.#keep(ended)
  }

  async #tell(state: State): Promise<State> {
    if (state.told) return state
    await this.#onComplete(summaryOf(state))
    await this.#step('complete: told')
    await markTold(state)
    return this.#keep({ ...state, told: true })
  }

  async #remove(sid: string): Promise<void> {
    const directory = this.#states.get(sid)?.directory ?? (await locateAny(this.#root, sid))
    if (directory === undefined) return
    this.#states.delete(sid)
    await removeFiles(directory, sid, this.#step)
    this.#catalogue.removed(sid)
  }
}

const progressOf = (state: State): Progress => ({ next: state.chunks, chain: linkOf(state) })
const missing = (sid: string) => new NotFound(`there is no recording ${sid}`)
const foreign = () => new AccessDenied('access denied: another server began this recording')
const wanted = ({ chunks, end }: State) =>
  new CompareFailed(
    end === undefined
      ? `the chunk that is wanted next is ${chunks}`
      : `the recording is complete with ${chunks} chunks`,
  )
