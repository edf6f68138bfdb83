/**
 * What a proxy or node knows of the cluster: followed through the watch, kept on disk so that it starts and serves while auth is
 * away. While nothing is heard from auth, time stands still for the presence of servers: they have not gone, the news has.
 */

import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { type Env, realEnv } from '../common/env.ts'
import { readPrivateFile, writeFileAtomic } from '../common/files.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { ConnectionProblem, isNotFound } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { ApiClient } from './client.ts'
import { type ChangeKind, ClusterSnapshot } from './cluster-snapshot.ts'
import type { ClusterState } from './cluster-state.ts'
import { type ClusterConfig, type Presence, type ServerRole, watchEvent } from './model.ts'
import { watch } from './routes.ts'

export type { ChangeKind } from './cluster-snapshot.ts'

export interface ClusterCache extends ClusterState, AsyncDisposable {
  /** Resolves once there is something to decide with: the first snapshot or, while auth stays away, the file from the last run. */
  readonly ready: Promise<void>
  /** The watch stands and its snapshot is complete. */
  readonly live: boolean
  /** When something was last heard from an auth server; undefined when never. */
  readonly lastHeard: Date | undefined
  /** Servers that have not expired, of one role or of all. */
  servers(role?: ServerRole): readonly Presence[]
  serverByUuid(role: ServerRole, uuid: string): Presence | undefined
  /** Compared without regard to case. */
  serversByHostname(role: ServerRole, hostname: string): readonly Presence[]
  serversByLabel(role: ServerRole, name: string, value: string): readonly Presence[]
  /** By `address` or one of `publicAddresses`; without a port every port matches. */
  serversByAddress(role: ServerRole, host: string, port?: number): readonly Presence[]
  /** Called after each change, at once for each; returns the function that ends it. */
  onChange(listener: (kind: ChangeKind, id: string) => void): () => void
  close(): Promise<void>
}

export interface ClusterCacheOptions {
  readonly client: ApiClient
  /** `cache.json` of the role. */
  readonly path: string
  readonly clusterName: string
  readonly env?: Env
  readonly logger?: Logger
}

/** Milliseconds. */
const firstRetry = 200
const lastRetry = 10_000
/**
 * Milliseconds after the start in which news from auth comes before what was known at the last run: a lock or a stricter setting
 * made meanwhile holds for the first connection, too. Auth may be starting beside us.
 */
const patience = 3_000
/** Locks and granted requests are on disk at once, other changes that decide about access after 1 s; presence, which changes all the time, after 30 s. */
const saveSoon = 1_000
const saveLater = 30_000
const pruneEvery = 30_000
/** Bytes. */
const maxFile = 256 * 1024 * 1024

/** Before anything is known: the strict choice. */
const unknownConfig = (clusterName: string): ClusterConfig => ({
  clusterName,
  secondFactor: 'otp',
  clientIdleTimeout: 0,
  disconnectExpiredCert: true,
  keepAliveInterval: 300,
  keepAliveCountMax: 3,
  sessionRecording: 'node',
  sessionDetachTimeout: 0,
  messageOfTheDay: '',
  lockingMode: 'strict',
  requireSessionMfa: false,
})

export function openClusterCache(options: ClusterCacheOptions): ClusterCache {
  return new Cache(options)
}

class Cache implements ClusterCache {
  readonly clusterName: string
  readonly ready: Promise<void>
  readonly #options: ClusterCacheOptions
  readonly #env: Env
  readonly #logger: Logger
  readonly #closing = new AbortController()
  readonly #listeners = new Set<(kind: ChangeKind, id: string) => void>()
  readonly #running: Promise<unknown>
  readonly #becameReady = Promise.withResolvers<void>()
  #snapshot = new ClusterSnapshot()
  #live = false
  #lastHeard: Date | undefined
  /** The same on the clock that nobody sets. */
  #heardAt = Number.NEGATIVE_INFINITY
  #saveAt = Number.POSITIVE_INFINITY
  #saving: Promise<void> = Promise.resolve()
  #wakeSaver: (() => void) | undefined

  constructor(options: ClusterCacheOptions) {
    this.#options = options
    this.#env = options.env ?? realEnv
    this.#logger = options.logger ?? silentLogger
    this.clusterName = options.clusterName
    this.ready = this.#becameReady.promise
    // A cache that is closed before it was ready must not become an unhandled rejection of somebody who did not wait.
    this.ready.catch(() => undefined)
    this.#running = this.#run()
  }

  get live(): boolean {
    return this.#live
  }
  get lastHeard(): Date | undefined {
    return this.#lastHeard
  }
  get userAuthorities() {
    return this.#snapshot.userAuthorities
  }
  get hostAuthorities() {
    return this.#snapshot.hostAuthorities
  }
  get config(): ClusterConfig {
    return this.#snapshot.config ?? unknownConfig(this.clusterName)
  }
  user(name: string) {
    return this.#snapshot.users.get(name)
  }
  role(name: string) {
    return this.#snapshot.roles.get(name)?.role
  }
  get locks() {
    return this.#snapshot.locks
  }
  get grants() {
    return this.#snapshot.grants
  }
  get staleMs(): number {
    return this.#live ? 0 : this.#env.monotonicMs() - this.#heardAt
  }
  servers(role?: ServerRole): readonly Presence[] {
    return this.#snapshot.servers.list(role, this.#presenceTime())
  }
  serverByUuid(role: ServerRole, uuid: string): Presence | undefined {
    return this.#snapshot.servers.byUuid(role, uuid, this.#presenceTime())
  }
  serversByHostname(role: ServerRole, hostname: string): readonly Presence[] {
    return this.#snapshot.servers.byHostname(role, hostname, this.#presenceTime())
  }
  serversByLabel(role: ServerRole, name: string, value: string): readonly Presence[] {
    return this.#snapshot.servers.byLabel(role, name, value, this.#presenceTime())
  }
  serversByAddress(role: ServerRole, host: string, port?: number): readonly Presence[] {
    return this.#snapshot.servers.byAddress(role, host, port, this.#presenceTime())
  }

  onChange(listener: (kind: ChangeKind, id: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new ConnectionProblem('the cluster cache was closed'))
    this.#becameReady.reject(this.#closing.signal.reason)
    await this.#running
    if (this.#saveAt !== Number.POSITIVE_INFINITY) await this.#save()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The moment at which servers are judged to be there: now while auth is heard, else when it was last. */
  #presenceTime(): number {
    const now = this.#env.now().getTime()
    return this.#live || this.#lastHeard === undefined ? now : Math.min(now, this.#lastHeard.getTime())
  }

  async #run(): Promise<void> {
    const usable = await this.#load()
    if (usable) void this.#settleForFile()
    await Promise.all([this.#follow(), this.#keepSaving(), this.#keepPruning()])
  }

  async #settleForFile(): Promise<void> {
    await this.#env.sleep(patience, this.#closing.signal).catch(() => undefined)
    this.#becameReady.resolve()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing
    const started = this.#env.monotonicMs()
    let wait = firstRetry
    let said = ''
    while (!signal.aborted) {
      try {
        await this.#followOnce(() => {
          if (said !== '') this.#logger.info('following the cluster again')
          wait = firstRetry
          said = ''
        })
      } catch (error) {
        if (signal.aborted) return
        const message = messageOf(error)
        if (message !== said) {
          this.#logger.warn('cannot follow the cluster; deciding with what was last known', { reason: message })
          said = message
        }
      }
      this.#live = false
      // Spread out, so that a thousand nodes do not come back in the same second.
      const jitter = 0.5 + this.#env.randomBytes(2).readUInt16BE() / 65_536
      await this.#env.sleep(wait * jitter, signal).catch(() => undefined)
      // Whoever waits for the first news waits for this.
      if (this.#env.monotonicMs() - started >= patience) wait = Math.min(wait * 2, lastRetry)
    }
  }

  async #followOnce(onLive: () => void): Promise<void> {
    const incoming = new ClusterSnapshot()
    for await (const event of this.#options.client.stream(watch, undefined, this.#closing.signal)) {
      this.#lastHeard = this.#env.now()
      this.#heardAt = this.#env.monotonicMs()
      if (event.op === 'alive') continue
      if (event.op === 'ready') {
        const old = this.#snapshot
        this.#snapshot = incoming
        this.#live = true
        onLive()
        this.#becameReady.resolve()
        for (const { kind, id } of incoming.differences(old)) this.#changed(kind, id)
        this.#saveBy(saveSoon)
        continue
      }
      const { kind, id } = incoming.apply(event)
      if (this.#snapshot === incoming) this.#changed(kind, id)
    }
    throw new ConnectionProblem('the auth server ended the watch')
  }

  #changed(kind: ChangeKind, id: string): void {
    this.#saveBy(kind === 'presence' ? saveLater : kind === 'lock' || kind === 'access_request' ? 0 : saveSoon)
    for (const listener of this.#listeners) {
      try {
        listener(kind, id)
      } catch (error) {
        this.#logger.error('a listener for changes failed', { kind, error: messageOf(error) })
      }
    }
  }

  async #keepPruning(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#env.sleep(pruneEvery, signal).catch(() => undefined)
      if (!this.#live) continue
      for (const id of this.#snapshot.servers.expired(this.#env.now().getTime())) {
        this.#snapshot.servers.delete(id)
        this.#changed('presence', id)
      }
    }
  }

  #saveBy(ms: number): void {
    const at = this.#env.monotonicMs() + ms
    if (at >= this.#saveAt) return
    this.#saveAt = at
    this.#wakeSaver?.()
  }

  async #keepSaving(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const left = this.#saveAt - this.#env.monotonicMs()
      if (left <= 0) {
        await this.#save()
        continue
      }
      const woken = new AbortController()
      this.#wakeSaver = () => woken.abort()
      const either = AbortSignal.any([signal, woken.signal])
      await this.#env.sleep(Math.min(left, saveLater), either).catch(() => undefined)
      this.#wakeSaver = undefined
    }
  }

  async #save(): Promise<void> {
    this.#saveAt = Number.POSITIVE_INFINITY
    const file: z.input<typeof cacheFile> = {
      version: 1,
      clusterName: this.clusterName,
      lastHeard: (this.#lastHeard ?? this.#env.now()).toISOString(),
      state: [...this.#snapshot.changes()],
    }
    this.#saving = this.#saving.then(async () => {
      try {
        await writeFileAtomic(this.#options.path, JSON.stringify(file))
      } catch (error) {
        this.#logger.warn('cannot keep the cluster state on disk', { reason: messageOf(error) })
      }
    })
    await this.#saving
  }

  /** Whether the file says enough to decide. */
  async #load(): Promise<boolean> {
    const { path } = this.#options
    try {
      const size = await stat(path).then(
        (found) => found.size,
        () => maxFile,
      )
      const content = await readPrivateFile(path, Math.min(size, maxFile))
      const file = cacheFile.parse(JSON.parse(content.toString('utf8')))
      if (file.clusterName !== this.clusterName) throw new Error(`it belongs to the cluster ${file.clusterName}`)
      const snapshot = new ClusterSnapshot()
      for (const change of file.state) if (change.op === 'put') snapshot.apply(change)
      this.#snapshot = snapshot
      this.#lastHeard = new Date(file.lastHeard)
      this.#heardAt = this.#env.monotonicMs() - Math.max(0, this.#env.now().getTime() - this.#lastHeard.getTime())
      return snapshot.userAuthorities.length > 0 && snapshot.hostAuthorities.length > 0
    } catch (error) {
      if (isNotFound(error)) return false
      this.#logger.warn('the kept cluster state cannot be used; waiting for an auth server', {
        path,
        reason: messageOf(error),
      })
      return false
    }
  }
}

const cacheFile = z.strictObject({
  version: z.literal(1),
  clusterName: z.string(),
  lastHeard: z.iso.datetime(),
  state: z.array(watchEvent),
})
