/** A recorder with an auth side in memory, for tests. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { openMemoryRecordings } from '../../../audit/recording/memory.ts'
import type { RecordingStore } from '../../../audit/recording/store.ts'
import { headerOf } from '../../../audit/recording/testing/make.ts'
import type { RecordingHeader } from '../../../audit/recording/types.ts'
import { type Env, realEnv } from '../../../common/env.ts'
import { silentLogger } from '../../../common/log.ts'
import { ConnectionProblem } from '../../../errors/errors.ts'
import { RecordingEngine } from '../engine.ts'
import { openRecorder } from '../recorder.ts'
import type { RecorderLimits } from '../recorder-options.ts'
import type { Recorder, TapOptions } from '../types.ts'
import type { RecordingUpload } from '../upload.ts'
import type { StartWorker } from '../worker-thread.ts'

/** Auth as the uploader sees it; `problem` is what every call answers while it is set. */
export class TestAuth implements RecordingUpload {
  readonly store: RecordingStore = openMemoryRecordings()
  problem: Error | undefined
  /** Called before each chunk is stored. */
  beforeAppend: (() => Promise<void>) | undefined
  calls = 0

  async begin(header: RecordingHeader) {
    this.#check()
    return this.store.begin(header)
  }

  async append(...[sid, chunk]: Parameters<RecordingUpload['append']>) {
    this.#check()
    await this.beforeAppend?.()
    this.#check()
    return this.store.append(sid, headerOf().serverId, chunk)
  }

  async complete(...[sid, end]: Parameters<RecordingUpload['complete']>) {
    this.#check()
    await this.store.complete(sid, headerOf().serverId, end)
  }

  goAway(): void {
    this.problem = new ConnectionProblem('auth is away')
  }

  /** The whole text of a recording. */
  async text(sid: string): Promise<string> {
    const parts: Buffer[] = []
    for await (const { data } of this.store.read(sid, 0)) parts.push(zstdDecompressSync(data))
    return Buffer.concat(parts).toString('utf8')
  }

  async lines(sid: string): Promise<readonly (readonly [at: number, code: string, data: string])[]> {
    const [, ...lines] = (await this.text(sid)).trimEnd().split('\n')
    return lines.map((line) => JSON.parse(line))
  }

  async output(sid: string): Promise<string> {
    const lines = await this.lines(sid)
    return lines.flatMap(([, code, data]) => (code === 'o' ? [data] : [])).join('')
  }

  #check(): void {
    this.calls++
    if (this.problem !== undefined) throw this.problem
  }
}

/** The worker's work in this thread. */
export class InlineWorker {
  readonly engines: RecordingEngine[] = []
  readonly #env: Env
  readonly #segmentBytes: number | undefined
  #gone: (reason: unknown) => void = () => {}

  constructor(env: Env = realEnv, segmentBytes?: number) {
    this.#env = env
    this.#segmentBytes = segmentBytes
  }

  readonly start: StartWorker = (events) => {
    let over = false
    const engine = new RecordingEngine({
      env: this.#env,
      send: (message, transfer = []) => {
        if (!over) events.message(structuredClone(message, { transfer: [...transfer] }))
      },
      ...(this.#segmentBytes === undefined ? {} : { segmentBytes: this.#segmentBytes }),
    })
    this.engines.push(engine)
    this.#gone = (reason) => {
      if (over) return
      over = true
      engine.close()
      events.gone(reason)
    }
    return {
      post: (message, transfer = []) => {
        const copy = structuredClone(message, { transfer: [...transfer] })
        queueMicrotask(() => {
          if (!over) engine.receive(copy)
        })
      },
      close: async () => {
        over = true
        engine.close()
      },
    }
  }

  die(reason = 'killed'): void {
    this.#gone(new Error(reason))
  }
}

export interface TestSetup extends AsyncDisposable {
  readonly dir: string
  readonly auth: TestAuth
  readonly failed: { readonly sid: string; readonly reason: string }[]
  readonly recorder: Recorder
}

export interface TestSetupOptions {
  readonly env?: Env
  /** Default: the worker's work in this thread, which is there at once. */
  readonly startWorker?: StartWorker
  readonly limits?: Partial<RecorderLimits>
  readonly dir?: string
  readonly auth?: TestAuth
  readonly owner?: string
}

export async function setUpRecorder(options: TestSetupOptions = {}): Promise<TestSetup> {
  const parent = options.dir === undefined ? await mkdtemp(join(tmpdir(), 'recordings-')) : undefined
  const dir = options.dir ?? join(parent ?? '', 'recordings')
  const auth = options.auth ?? new TestAuth()
  const failed: { sid: string; reason: string }[] = []
  const { env = realEnv, limits, owner } = options
  const startWorker = options.startWorker ?? new InlineWorker(env).start
  const recorder = await openRecorder({
    dir,
    upload: auth,
    env,
    logger: silentLogger,
    onFailed: ({ sid }, reason) => failed.push({ sid, reason }),
    startWorker,
    ...(limits === undefined ? {} : { limits }),
    ...(owner === undefined ? {} : { owner }),
  })
  return {
    dir,
    auth,
    failed,
    recorder,
    async [Symbol.asyncDispose]() {
      await recorder.close()
      if (parent !== undefined) await rm(parent, { recursive: true, force: true })
    },
  }
}

export function tapOptions(more: Partial<TapOptions> & { readonly header?: RecordingHeader } = {}) {
  const failures: Error[] = []
  const options: TapOptions = {
    header: headerOf(),
    mode: 'node',
    strict: false,
    onFailure: (reason) => failures.push(reason),
    ...more,
  }
  return { ...options, failures }
}
