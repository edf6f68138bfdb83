/**
 * The cluster's state in memory, kept in step with the store by its watch: what decisions are made with, and what followers get.
 * Each line that followers get is made once, however many there are.
 */

import { type SettingsKind, settingsKinds, settingsName, settingsSpecs } from '../api/cluster-settings.ts'
import { type Change, type ChangeKind, ClusterSnapshot, idOf } from '../api/cluster-snapshot.ts'
import type { ClusterState } from '../api/cluster-state.ts'
import type { ClusterConfig, Presence, WatchEvent } from '../api/model.ts'
import type { Backend, WatchEvent as StoreEvent } from '../backend/contract.ts'
import { isResyncNeeded } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { LimitExceeded, SystemError } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { publicAuthority } from './authorities.ts'
import type { StoredAccessRequest, Tables } from './records.ts'

/** Bytes that a follower may be behind before it is cut off; it comes back and gets a new snapshot. */
const maxBehind = 32 * 1024 * 1024
/** Milliseconds. */
/** A third of the silence after which a follower reconnects. To thousands of followers this is most of what auth says. */
const aliveEvery = 20_000
const quietLook = 1_000
const resyncAfter = 1_000

type Changed = { readonly kind: ChangeKind; readonly id: string }

export class Hub implements ClusterState {
  readonly clusterName: string
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #env: Env
  readonly #logger: Logger
  readonly #closing = new AbortController()
  readonly #followers = new Set<Follower>()
  readonly #listeners = new Set<(change: Changed) => void>()
  #config: ClusterConfig
  /** Where no resource says otherwise. */
  readonly #defaults: ClusterConfig
  #snapshot = new ClusterSnapshot()
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: {
    readonly backend: Backend
    readonly tables: Tables
    readonly config: ClusterConfig
    readonly env: Env
    readonly logger: Logger
  }) {
    this.#backend = options.backend
    this.#tables = options.tables
    this.#env = options.env
    this.#logger = options.logger
    this.#config = options.config
    this.#defaults = options.config
    this.clusterName = options.config.clusterName
  }

  get config(): ClusterConfig {
    return this.#config
  }
  get userAuthorities() {
    return this.#snapshot.userAuthorities
  }
  get hostAuthorities() {
    return this.#snapshot.hostAuthorities
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
  /** What is known here is what there is. */
  readonly staleMs = 0
  get snapshot(): ClusterSnapshot {
    return this.#snapshot
  }

  /** Reads everything, then follows. Resolves when the state is complete. */
  async start(): Promise<void> {
    const watcher = await this.#load()
    this.#running = Promise.all([this.#follow(watcher), this.#keepSayingAlive()])
  }

  async close(): Promise<void> {
    this.#closing.abort(new SystemError('ECANCELED', 'the auth service is stopping'))
    for (const follower of this.#followers) follower.end()
    await this.#running
  }

  /** Called after each change, and for everything there is after changes were missed. */
  onChange(listener: (change: Changed) => void): void {
    this.#listeners.add(listener)
  }

  /** Resolves with the next change, or after so many milliseconds. */
  async changed(ms: number): Promise<void> {
    const heard = new AbortController()
    const listener = () => heard.abort()
    this.#listeners.add(listener)
    await this.#env.sleep(ms, AbortSignal.any([heard.signal, this.#closing.signal])).catch(() => undefined)
    this.#listeners.delete(listener)
  }

  /** Aborted when the service stops. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** The lines for one follower, without end: a snapshot, `ready`, then changes. Nodes need no word of each other. */
  async *follow(options: { readonly presence: boolean; readonly signal: AbortSignal }): AsyncGenerator<string> {
    const follower = new Follower(options.presence, this.#env)
    this.#followers.add(follower)
    const end = () => follower.end()
    options.signal.addEventListener('abort', end, { once: true })
    try {
      // Taken in one go with the subscription, so that no change falls in between.
      let text = ''
      for (const change of this.#snapshot.changes(options)) text += line(change)
      yield `${text}${line({ op: 'ready' })}`
      yield* follower.lines()
    } finally {
      options.signal.removeEventListener('abort', end)
      this.#followers.delete(follower)
    }
  }

  async #load(): Promise<AsyncIterable<StoreEvent>> {
    // Watch first: what changes while we read comes twice rather than never.
    const watcher = await this.#backend.watch([], this.#closing.signal)
    const snapshot = new ClusterSnapshot()
    for (const table of followedTables) {
      for await (const found of this.#tables[table].all()) {
        const change = this.#toChange(table, found)
        if (change !== undefined) snapshot.apply(change)
      }
    }
    this.#config = withProxyAddress(await this.#readSettings(), snapshot)
    snapshot.apply({ op: 'put', kind: 'config', value: this.#config })
    this.#snapshot = snapshot
    return watcher
  }

  /** The address of a proxy stays what it was. */
  async #readSettings(): Promise<ClusterConfig> {
    const { proxyAddress } = this.#config
    const config = { ...this.#defaults, ...(proxyAddress === undefined ? {} : { proxyAddress }) }
    for await (const { value } of this.#tables.clusterSettings.all()) Object.assign(config, value.spec)
    return config
  }

  async #follow(first: AsyncIterable<StoreEvent>): Promise<void> {
    let watcher = first
    while (!this.#closing.signal.aborted) {
      try {
        for await (const event of watcher) this.#apply(event)
        if (this.#closing.signal.aborted) return
        throw new SystemError('EIO', 'the watch of the store ended')
      } catch (error) {
        if (this.#closing.signal.aborted) return
        if (!isResyncNeeded(error)) this.#logger.error('lost track of the store', { reason: messageOf(error) })
      }
      await this.#env.sleep(resyncAfter, this.#closing.signal).catch(() => undefined)
      if (this.#closing.signal.aborted) return
      try {
        const before = this.#snapshot
        watcher = await this.#load()
        // What is not there any more too.
        for (const changed of this.#snapshot.differences(before)) this.#tell(changed)
        // Followers missed changes too: a new snapshot tells them.
        for (const follower of this.#followers) follower.end()
        for (const change of this.#snapshot.changes()) this.#tell({ kind: change.kind, id: idOf(change) })
      } catch (error) {
        this.#logger.error('cannot read the store', { reason: messageOf(error) })
      }
    }
  }

  #apply(event: StoreEvent): void {
    const key = event.type === 'put' ? event.item.key : event.key
    const [table, id] = key
    if (id === undefined) return
    try {
      if (table === 'cluster-settings') this.#applySettings(id, event)
      const change = event.type === 'put' ? this.#changeOf(table, event.item) : deletionOf(table, id)
      if (change === undefined) return
      this.#announce(change)
      // Of thousands of servers, most are nodes, and say something new every few minutes.
      if (change.kind === 'presence' && id.startsWith('proxy/')) this.#followProxy()
    } catch (error) {
      this.#logger.error('a change of the store cannot be read', { table, reason: messageOf(error) })
    }
  }

  #applySettings(id: string, event: StoreEvent): void {
    const known = settingsKinds.find((kind) => settingsName(kind) === id)
    if (known === undefined) return
    const defaults = partOf(this.#defaults, known)
    const spec = event.type === 'put' ? this.#tables.clusterSettings.read(event.item).value.spec : defaults
    this.#config = { ...this.#config, ...spec }
    this.#announce({ op: 'put', kind: 'config', value: this.#config })
  }

  #announce(change: Change): void {
    const { kind, id } = this.#snapshot.apply(change)
    const text = line(change)
    for (const follower of this.#followers) follower.push(kind, text)
    this.#tell({ kind, id })
  }

  #tell(changed: Changed): void {
    for (const listener of this.#listeners) listener(changed)
  }

  /** Nodes hear nothing of servers, but tell their users where the web side is. */
  #followProxy(): void {
    const value = withProxyAddress(this.#config, this.#snapshot)
    if (value === this.#config) return
    this.#config = value
    this.#announce({ op: 'put', kind: 'config', value })
  }

  #changeOf(table: string | undefined, item: Parameters<Tables['users']['read']>[0]): Change | undefined {
    switch (table) {
      case 'access-requests':
        return this.#toChange('accessRequests', this.#tables.accessRequests.read(item))
      case 'authorities':
      case 'locks':
      case 'roles':
      case 'users':
      case 'presence':
        return this.#toChange(table, this.#tables[table].read(item))
      default:
        return undefined
    }
  }

  #toChange(table: FollowedTable, found: { readonly value: unknown; readonly revision: string }): Change | undefined {
    switch (table) {
      case 'authorities': {
        // Only the public halves go on from here.
        const record = found.value as ReturnType<Tables['authorities']['read']>['value']
        return { op: 'put', kind: 'authority', value: publicAuthority(record, this.clusterName) }
      }
      case 'accessRequests':
        return grantChange(found.value as ReturnType<Tables['accessRequests']['read']>['value'])
      case 'locks':
        return { op: 'put', kind: 'lock', value: found.value as ReturnType<Tables['locks']['read']>['value'] }
      case 'roles':
        return { op: 'put', kind: 'role', value: found.value as ReturnType<Tables['roles']['read']>['value'] }
      case 'users':
        return { op: 'put', kind: 'user', value: found.value as ReturnType<Tables['users']['read']>['value'] }
      case 'presence':
        return { op: 'put', kind: 'presence', value: found.value as ReturnType<Tables['presence']['read']>['value'] }
    }
  }

  /** Each follower in its own second, so that thousands do not have to be served at once. */
  async #keepSayingAlive(): Promise<void> {
    const { signal } = this.#closing
    const text = line({ op: 'alive' })
    while (!signal.aborted) {
      await this.#env.sleep(quietLook, signal).catch(() => undefined)
      const quiet = this.#env.monotonicMs() - aliveEvery
      for (const follower of this.#followers) if (follower.lastPush <= quiet) follower.push('alive', text)
    }
  }
}

/** The address stays while a proxy has it, so that several proxies do not take turns, and when the last one has gone. */
function withProxyAddress(config: ClusterConfig, { servers }: ClusterSnapshot): ClusterConfig {
  let latest: Presence | undefined
  for (const proxy of servers.list('proxy', 0)) {
    const [address] = proxy.publicAddresses
    if (address === undefined || address === '') continue
    if (address === config.proxyAddress) return config
    if (latest === undefined || proxy.expires > latest.expires) latest = proxy
  }
  const [address] = latest?.publicAddresses ?? []
  return address === undefined ? config : { ...config, proxyAddress: address }
}

function partOf(config: ClusterConfig, kind: SettingsKind): Partial<ClusterConfig> {
  const keys = Object.keys(settingsSpecs[kind].shape) as (keyof ClusterConfig)[]
  return Object.fromEntries(keys.map((key) => [key, config[key]]))
}

const followedTables = ['authorities', 'locks', 'accessRequests', 'roles', 'users', 'presence'] as const
type FollowedTable = (typeof followedTables)[number]

/** Servers hear of approved requests only: what else is asked for is no business of theirs. */
function grantChange({ id, user, userCreated, roles, state, expires }: StoredAccessRequest): Change {
  return state === 'approved'
    ? { op: 'put', kind: 'access_request', value: { id, user, userCreated, roles, expires } }
    : { op: 'delete', kind: 'access_request', id }
}

const line = (event: WatchEvent): string => `${JSON.stringify(event)}\n`

function deletionOf(table: string | undefined, id: string): Change | undefined {
  switch (table) {
    case 'authorities':
      return { op: 'delete', kind: 'authority', id }
    case 'access-requests':
      return { op: 'delete', kind: 'access_request', id }
    case 'locks':
      return { op: 'delete', kind: 'lock', id }
    case 'roles':
      return { op: 'delete', kind: 'role', id }
    case 'users':
      return { op: 'delete', kind: 'user', id }
    case 'presence':
      return { op: 'delete', kind: 'presence', id }
    default:
      return undefined
  }
}

/** What one follower has not taken yet. */
class Follower {
  readonly #presence: boolean
  readonly #env: Env
  #waiting: string[] = []
  #size = 0
  #ended = false
  #overflowed = false
  #wake: (() => void) | undefined
  /** On the monotonic clock, milliseconds. */
  lastPush: number

  constructor(presence: boolean, env: Env) {
    this.#presence = presence
    this.#env = env
    this.lastPush = env.monotonicMs()
  }

  push(kind: string, text: string): void {
    if (this.#ended || (kind === 'presence' && !this.#presence)) return
    this.#size += text.length
    if (this.#size > maxBehind) {
      this.#overflowed = true
      this.#waiting = []
      this.end()
      return
    }
    this.#waiting.push(text)
    this.lastPush = this.#env.monotonicMs()
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *lines(): AsyncGenerator<string> {
    while (!this.#overflowed) {
      if (this.#waiting.length > 0) {
        const text = this.#waiting.join('')
        this.#waiting = []
        this.#size = 0
        yield text
        continue
      }
      if (this.#ended) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    throw new LimitExceeded('the follower is too slow; it must start again')
  }
}
