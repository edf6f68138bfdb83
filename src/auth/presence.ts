/**
 * Which servers are there. A heartbeat every minute from each of 10,000 machines must cost next to nothing, so the store is written
 * only when something changed or half of the time has passed; in between a heartbeat is a number in memory.
 */

import type { Authorized, Permit } from '../access/authorize.ts'
import type { Caller } from '../api/caller.ts'
import { presenceId } from '../api/cluster-snapshot.ts'
import { type Presence, presence as presenceSchema, type ServerRole } from '../api/model.ts'
import { splitAddress } from '../api/server-index.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { RateLimiter } from '../common/limiter.ts'
import type { Logger } from '../common/log.ts'
import { nameProblem } from '../common/names.ts'
import { AccessDenied, BadParameter } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { Tables } from './records.ts'

/** Milliseconds. */
const lifetime = 10 * 60_000
const pruneEvery = 10_000
/** Servers that were there when auth stopped get this long to be heard of again. */
const graceAtStart = 2 * 60_000
/** A server that was heard of this lately is certainly there. */
const lately = 90_000
/** Without a heartbeat for so long, which is more than two of them, a server is called quiet until it is heard of again. */
const quietAfter = 150_000
/** For machines that come back after a failure of the network: ten at once, then one every five seconds. */
const rate = { burst: 10, perSecond: 0.2, maxKeys: 50_000 }

export interface Heartbeat {
  readonly hostname: string
  readonly address: string
  readonly publicAddresses: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly version: string
  readonly trusts?: readonly string[] | undefined
}

interface Known {
  /** Everything but the expiry, as JSON; empty once it was called quiet, so that its next heartbeat is stored. */
  content: string
  /** Milliseconds since 1970; what the store says. */
  storedExpires: number
  heard: number
  expires: number
}

export class PresenceService {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #env: Env
  readonly #logger: Logger
  readonly #limiter: RateLimiter
  readonly #known = new Map<string, Known>()
  readonly #closing = new AbortController()
  /** Milliseconds since 1970. */
  #started = 0
  #pruning: Promise<void> = Promise.resolve()

  constructor(options: { backend: Backend; tables: Tables; env: Env; logger: Logger }) {
    this.#backend = options.backend
    this.#tables = options.tables
    this.#env = options.env
    this.#logger = options.logger
    this.#limiter = new RateLimiter(rate, options.env)
  }

  /** What was there when auth stopped is there for a while: it could not say anything meanwhile. */
  async start(): Promise<void> {
    const now = this.#env.now().getTime()
    this.#started = now
    for await (const { id, value } of this.#tables.presence.all()) {
      const stored = Date.parse(value.expires)
      const expires = Math.max(stored, now + graceAtStart)
      this.#known.set(id, { content: contentOf(value), storedExpires: expires, heard: 0, expires })
      if (expires !== stored) {
        await this.#backend.put(this.#tables.presence.item(id, { ...value, expires: new Date(expires).toISOString() }))
      }
    }
    this.#pruning = this.#keepPruning()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#pruning
  }

  /** Identity comes from the certificate: uuid and role as a whole, and the name must be one that it holds. */
  async heartbeat(caller: Caller, beat: Heartbeat): Promise<Date> {
    const role = serverRoleOf(caller)
    this.#limiter.check(caller.name, 'heartbeats of this server')
    checkLabels(beat.labels)
    const ownNames = caller.names ?? []
    if (!ownNames.some((name) => name.toLowerCase() === beat.hostname.toLowerCase())) {
      throw new AccessDenied(
        `the host certificate of ${caller.name} does not hold the name ${JSON.stringify(beat.hostname)}; join again to change it`,
      )
    }
    const now = this.#env.now().getTime()
    const expires = now + lifetime
    const record: Presence = {
      uuid: caller.name,
      role,
      hostname: beat.hostname,
      address: reachable(beat.address, caller.address),
      publicAddresses: beat.publicAddresses.map((address) => checkedAddress(address)),
      labels: { ...beat.labels },
      version: beat.version,
      ...(caller.certifiedBy === undefined ? {} : { certifiedBy: caller.certifiedBy }),
      ...(beat.trusts === undefined ? {} : { trusts: [...beat.trusts] }),
      expires: new Date(expires).toISOString(),
    }
    const id = presenceId(record)
    const content = contentOf(record)
    const known = this.#known.get(id)
    if (known !== undefined && known.content === content && known.storedExpires > now + lifetime / 2) {
      known.heard = now
      known.expires = expires
      return new Date(expires)
    }
    this.#known.set(id, { content, storedExpires: expires, heard: now, expires })
    await this.#backend.put(this.#tables.presence.item(id, presenceSchema.parse(record)))
    return new Date(expires)
  }

  async forget(role: ServerRole, permit: Authorized<Permit<'node', 'delete'>>): Promise<void> {
    const uuid = permit.target.name
    const id = presenceId({ role, uuid })
    await this.#backend.delete(this.#tables.presence.key(id))
    this.#known.delete(id)
  }

  /** Was this server heard of within the last minute and a half? */
  isThere(role: ServerRole, uuid: string): boolean {
    const known = this.#known.get(presenceId({ role, uuid }))
    return known !== undefined && known.heard > this.#env.now().getTime() - lately
  }

  #isQuiet({ content, heard }: Known): boolean {
    return content !== '' && Math.max(heard, this.#started) + quietAfter <= this.#env.now().getTime()
  }

  async #callQuiet(id: string, known: Known): Promise<void> {
    const found = await this.#tables.presence.find(id)
    // It may have been heard of meanwhile.
    if (found === undefined || !this.#isQuiet(known)) return
    const { content } = known
    known.content = ''
    try {
      await this.#backend.commit([
        this.#tables.presence.unchanged(found),
        this.#tables.presence.put(id, { ...found.value, quiet: true }),
      ])
    } catch (error) {
      // The next round tries again.
      known.content = content
      throw error
    }
  }

  async #keepPruning(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#env.sleep(pruneEvery, signal).catch(() => undefined)
      const now = this.#env.now().getTime()
      for (const [id, known] of this.#known) {
        if (signal.aborted) return
        try {
          if (this.#isQuiet(known)) await this.#callQuiet(id, known)
        } catch (error) {
          this.#logger.warn('cannot tell that a server is quiet', { id, reason: messageOf(error) })
          break
        }
        if (known.expires > now) continue
        this.#known.delete(id)
        try {
          await this.#backend.deleteRange(this.#tables.presence.key(id))
        } catch (error) {
          this.#known.set(id, known)
          this.#logger.warn('cannot remove a server that has gone', { id, reason: messageOf(error) })
          break
        }
      }
    }
  }
}

const contentOf = (presence: Presence): string => JSON.stringify({ ...presence, expires: '' })

export function serverRoleOf(caller: Caller): ServerRole {
  switch (caller.role) {
    case 'Auth':
      return 'auth'
    case 'Proxy':
      return 'proxy'
    case 'Node':
      return 'node'
    default:
      throw new AccessDenied(`a caller of the role ${caller.role} is not a server`)
  }
}

/** A server that listens everywhere is reached where it called from. */
function reachable(address: string, peer: string): string {
  const checked = checkedAddress(address)
  const { host, port } = splitAddress(checked)
  if (host !== '' && host !== '0.0.0.0' && host !== '::') return checked
  return peer.includes(':') ? `[${peer}]:${port}` : `${peer}:${port}`
}

/** `host:port`, the host a name or an IP address (`[…]` around version 6). Throws BadParameter. */
function checkedAddress(address: string): string {
  const { host, port } = splitAddress(address)
  const fine = host === '' || /^[0-9a-f:.]+$/.test(host) || nameProblem('node name', host) === undefined
  if (fine && port !== undefined && port > 0 && port < 65_536) return address
  throw new BadParameter('address', `${JSON.stringify(address)} is not an address of the form host:port`)
}

function checkLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels)
  if (entries.length > 128) throw new BadParameter('labels', `${entries.length} labels, at most 128 allowed`)
  for (const [name, value] of entries) {
    const problem = nameProblem('label name', name) ?? nameProblem('label value', value)
    if (problem !== undefined) throw new BadParameter('labels', problem)
  }
}
