/** Servers of the cluster, found by uuid, name, label or address without looking at all of them. */

import type { Presence, ServerRole } from './model.ts'

interface Entry {
  readonly presence: Presence
  readonly expiresMs: number
}

/** A server and where it stands in listings. */
export interface Placed {
  /** Of no other server. Compared as it is. */
  readonly place: string
  readonly presence: Presence
}

const keyOf = (role: ServerRole, uuid: string): string => `${role}/${uuid}`

export class ServerIndex {
  readonly #entries = new Map<string, Entry>()
  /** Search term → keys of entries. Terms of different kinds cannot be equal: each starts with its kind. */
  readonly #terms = new Map<string, Set<string>>()
  /** Places in their order, with the key of each; made when a listing asks, and again when there are other servers or names. */
  #order: readonly (readonly [place: string, key: string])[] | undefined

  get size(): number {
    return this.#entries.size
  }

  put(presence: Presence): void {
    const key = keyOf(presence.role, presence.uuid)
    const old = this.#entries.get(key)?.presence
    this.#entries.set(key, { presence, expiresMs: Date.parse(presence.expires) })
    const terms = termsOf(presence)
    if (old === undefined || placeOf(old) !== placeOf(presence)) this.#order = undefined
    // A heartbeat mostly changes nothing but the expiry.
    if (old !== undefined) {
      const oldTerms = termsOf(old)
      if (oldTerms.length === terms.length && oldTerms.every((term, i) => term === terms[i])) return
      this.#forget(key, oldTerms)
    }
    for (const term of terms) {
      const keys = this.#terms.get(term)
      if (keys === undefined) this.#terms.set(term, new Set([key]))
      else keys.add(key)
    }
  }

  /** `id` is `<role>/<uuid>`. */
  delete(id: string): boolean {
    const old = this.#entries.get(id)
    if (old === undefined) return false
    this.#entries.delete(id)
    this.#order = undefined
    this.#forget(id, termsOf(old.presence))
    return true
  }

  #forget(key: string, terms: readonly string[]): void {
    for (const term of terms) {
      const keys = this.#terms.get(term)
      keys?.delete(key)
      if (keys?.size === 0) this.#terms.delete(term)
    }
  }

  /** Entries that live at `nowMs`, of one role or of all. */
  list(role: ServerRole | undefined, nowMs: number): Presence[] {
    const found: Presence[] = []
    for (const { presence, expiresMs } of this.#entries.values()) {
      if (expiresMs > nowMs && (role === undefined || presence.role === role)) found.push(presence)
    }
    return found
  }

  /** The same by name, then uuid, from behind a place on ('' for all); what is not taken costs nothing. */
  *inOrder(role: ServerRole | undefined, nowMs: number, after: string): Generator<Placed> {
    this.#order ??= this.#sorted()
    const order = this.#order
    for (let i = firstBehind(order, after); i < order.length; i++) {
      const [place, key] = order[i] ?? ['', '']
      const entry = this.#entries.get(key)
      if (entry === undefined || entry.expiresMs <= nowMs) continue
      if (role === undefined || entry.presence.role === role) yield { place, presence: entry.presence }
    }
  }

  #sorted(): (readonly [string, string])[] {
    const order = [...this.#entries].map(([key, { presence }]) => [placeOf(presence), key] as const)
    return order.sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Every entry, expired or not. */
  all(): Presence[] {
    return [...this.#entries.values()].map((entry) => entry.presence)
  }

  /** Ids of entries that have expired. */
  expired(nowMs: number): string[] {
    return [...this.#entries].filter(([, entry]) => entry.expiresMs <= nowMs).map(([id]) => id)
  }

  byUuid(role: ServerRole, uuid: string, nowMs: number): Presence | undefined {
    const entry = this.#entries.get(keyOf(role, uuid))
    return entry !== undefined && entry.expiresMs > nowMs ? entry.presence : undefined
  }

  byHostname(role: ServerRole, hostname: string, nowMs: number): Presence[] {
    return this.#find(`name ${hostname.toLowerCase()}`, role, nowMs)
  }

  byLabel(role: ServerRole, name: string, value: string, nowMs: number): Presence[] {
    return this.#find(labelTerm(name, value), role, nowMs)
  }

  byAddress(role: ServerRole, host: string, port: number | undefined, nowMs: number): Presence[] {
    const found = this.#find(`host ${bareHost(host)}`, role, nowMs)
    if (port === undefined) return found
    return found.filter((presence) =>
      addressesOf(presence).some((address) => {
        const other = splitAddress(address)
        return bareHost(other.host) === bareHost(host) && other.port === port
      }),
    )
  }

  #find(term: string, role: ServerRole, nowMs: number): Presence[] {
    const found: Presence[] = []
    for (const key of this.#terms.get(term) ?? []) {
      const entry = this.#entries.get(key)
      if (entry !== undefined && entry.expiresMs > nowMs && entry.presence.role === role) found.push(entry.presence)
    }
    return found
  }
}

const placeOf = ({ hostname, role, uuid }: Presence): string => `${hostname.toLowerCase()} ${role} ${uuid}`

/** Index of the first place behind this one. */
function firstBehind(order: readonly (readonly [place: string, key: string])[], place: string): number {
  let low = 0
  let high = order.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((order[middle]?.[0] ?? '') > place) high = middle
    else low = middle + 1
  }
  return low
}

function termsOf(presence: Presence): string[] {
  const hosts = new Set(addressesOf(presence).map((address) => bareHost(splitAddress(address).host)))
  return [
    `name ${presence.hostname.toLowerCase()}`,
    ...[...hosts].map((host) => `host ${host}`),
    ...Object.entries(presence.labels).map(([name, value]) => labelTerm(name, value)),
  ]
}

const labelTerm = (name: string, value: string): string => `label ${JSON.stringify([name, value])}`
const addressesOf = (presence: Presence): string[] => [presence.address, ...presence.publicAddresses]
const bareHost = (host: string): string => host.toLowerCase().replace(/^\[(.*)\]$/, '$1')

/** `host:port`, `[v6]:port`, or a host alone. */
export function splitAddress(address: string): { readonly host: string; readonly port: number | undefined } {
  const match = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(address)
  if (match?.[1] === undefined) return { host: bareHost(address), port: undefined }
  return { host: bareHost(match[1]), port: Number(match[2]) }
}
