/**
 * Sessions of browsers. Each has a token, which the browser has as a cookie and auth as a hash, and an SSH key with a user
 * certificate, which never leaves this process: whoever serves the session signs through an agent that ends with it.
 */

import { createPrivateKey } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { authenticateUser, sinceExtension } from '../api/authenticate-user.ts'
import type { Caller } from '../api/caller.ts'
import { parseCertificateLine } from '../api/lines.ts'
import type { OwnWebSession, WebSession } from '../api/web-session-routes.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { AccessDenied, isCompareFailed, isNotFound, NotFound } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { serveAgent } from '../ssh/agent/server.ts'
import { generateEd25519, keyObjectOf, privateKeyFromKeyObject } from '../ssh/keys/private-key.ts'
import type { AccessRequests } from './access-requests.ts'
import type { Audit } from './audit.ts'
import type { Issuer } from './certificates.ts'
import { readLine } from './first-line.ts'
import type { Hub } from './hub.ts'
import type { LoginProof, Logins } from './logins.ts'
import type { Found, StoredWebSession, Tables } from './records.ts'
import { hashToken, newToken } from './secrets.ts'
import type { AuthSettings } from './settings.ts'
import type { Users } from './users.ts'
import type { WebSessionIndex } from './web-session-index.ts'

/** Of one user; a further login ends the one that was used the longest ago. */
const maxPerUser = 32
/** Milliseconds. How exact the idle time is, and how often a busy session is written. */
const touchEvery = 30_000
/** Milliseconds between two looks at the sessions whose agents are open. */
const sweepEvery = 5_000
/** Agents of one session at a time: one for each proxy that serves it, and some that are about to end. */
const maxAgents = 16

export interface WebClient {
  readonly address: string
  readonly userAgent?: string | undefined
}

export interface WebSessionsOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly index: WebSessionIndex
  readonly audit: Audit
  readonly logins: Pick<Logins, 'authenticate'>
  readonly users: Pick<Users, 'get' | 'rolesOf'>
  readonly accessRequests: Pick<AccessRequests, 'grantsFor'>
  readonly issuer: Issuer
  readonly hub: Hub
  readonly settings: Pick<AuthSettings, 'webIdleMs'>
  readonly env: Env
  readonly logger: Logger
}

export class WebSessions {
  readonly #options: WebSessionsOptions
  readonly #closing = new AbortController()
  readonly #agents = new Map<string, Set<Duplex>>()
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: WebSessionsOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { hub, index } = this.#options
    await index.start((id) => this.#endAgents(id))
    // A user, role or lock that changes ends what it must end now.
    hub.onChange(({ kind }) => {
      if (kind !== 'presence') this.#sweep()
    })
    this.#running = this.#keepSweeping()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const id of [...this.#agents.keys()]) this.#endAgents(id)
    await Promise.all([this.#running, this.#options.index.close()])
  }

  /** The same checks, limits and words as any other login. */
  async open(proof: LoginProof): Promise<{ token: string; session: WebSession }> {
    const { logins, users, issuer, tables, backend, index, env } = this.#options
    const found = await logins.authenticate(proof)
    const user = found.value
    const key = generateEd25519(env)
    const { publicKey } = key
    const roles = await users.rolesOf(user)
    const { address, userAgent } = proof.client
    const credentials = await issuer.user({ user, roles, publicKey, ttlSeconds: undefined, address })
    const now = env.now().toISOString()
    const record: StoredWebSession = {
      id: env.randomUuid(),
      user: user.name,
      roles: [...credentials.roles],
      logins: [...credentials.logins],
      certificate: credentials.certificate,
      address,
      ...(userAgent === undefined ? {} : { userAgent }),
      privateKey: keyObjectOf(key).export({ type: 'pkcs8', format: 'pem' }).toString(),
      created: now,
      expires: credentials.validBefore,
      lastSeen: now,
    }
    const token = newToken(env)
    const hash = hashToken(token)
    try {
      // A password that was changed while it was looked at opens nothing.
      await backend.commit([
        tables.users.unchanged(found),
        tables.webSessions.put(hash, record, this.#ends(record)),
        ...index.removalsOf(user.name).slice(0, 1 - maxPerUser),
      ])
    } catch (error) {
      if (isCompareFailed(error)) throw new AccessDenied('access denied: the user was changed meanwhile; log in again')
      throw error
    }
    index.add(hash, record)
    return { token, session: this.#shown(record) }
  }

  /** Throws AccessDenied, with the same words for whatever makes a token good for nothing. */
  async check(token: string, options: { readonly touch: boolean; readonly client: WebClient }): Promise<WebSession> {
    const found = await this.#find(token, options.client)
    return this.#shown(options.touch ? await this.#touch(found, options.client) : found.value)
  }

  /**
   * Another token; with `accessRequests` (ids) also another certificate of the same key, which has the roles of the login and of these
   * approved requests, and ends with the first of them. Throws AccessDenied.
   */
  async renew(
    token: string,
    client: WebClient,
    accessRequests?: readonly string[],
  ): Promise<{ token: string; session: WebSession }> {
    const { backend, tables, index, env } = this.#options
    const found = await this.#find(token, client)
    const next = newToken(env)
    const before = accessRequests === undefined ? found.value : await this.#withRoles(found.value, accessRequests)
    const record = { ...before, lastSeen: env.now().toISOString(), seenFrom: client.address }
    // As with a role that binds to the address of the login, used from another one.
    if (!this.#holds(record, client))
      throw new AccessDenied('access denied: roles of that request shut this session out')
    try {
      await backend.commit([
        tables.webSessions.unchanged(found),
        tables.webSessions.remove(found.id),
        tables.webSessions.put(hashToken(next), record, this.#ends(record)),
      ])
    } catch (error) {
      if (isCompareFailed(error)) throw over()
      throw error
    }
    index.add(hashToken(next), record)
    index.remove(found.id)
    return { token: next, session: this.#shown(record) }
  }

  /** A token that is good for nothing already is no error. */
  async end(token: string, options: { readonly everywhere: boolean; readonly client: WebClient }): Promise<void> {
    const { audit, tables, index } = this.#options
    const found = await tables.webSessions.find(hashToken(token))
    if (found === undefined) return
    const { id, user } = found.value
    await audit.emit({
      event: 'user.logout',
      user,
      everywhere: options.everywhere,
      'addr.remote': options.client.address,
    })
    index.add(found.id, found.value)
    await index.end(new Set([id, ...(options.everywhere ? index.idsOf(user) : [])]))
  }

  /** Of the caller, whatever roles they have: there is no other user's to be had here. */
  list(caller: Caller): OwnWebSession[] {
    const blob = caller.user?.certificate.blob
    const mine = [...this.#options.index.entries()].map(([, record]) => record)
    return mine
      .filter((record) => record.user === caller.name && (this.#holds(record) || this.#hasLapsed(record)))
      .sort((a, b) => (a.lastSeen < b.lastSeen ? 1 : -1))
      .map((record) => ({
        id: record.id,
        created: record.created,
        lastSeen: record.lastSeen,
        address: record.seenFrom ?? record.address,
        ...(record.userAgent === undefined ? {} : { userAgent: record.userAgent }),
        expires: this.#ends(record).toISOString(),
        current: blob !== undefined && parseCertificateLine(record.certificate).blob.equals(blob),
      }))
  }

  /** One of the caller's own. Throws NotFound, for what is another's as for what never was. */
  async remove(caller: Caller, id: string): Promise<void> {
    const { audit, index } = this.#options
    if (!index.idsOf(caller.name).includes(id))
      throw new NotFound('you have no such browser session; it may have ended already')
    await audit.emit({ event: 'user.logout', user: caller.name, everywhere: false, 'addr.remote': caller.address })
    await index.end(new Set([id]))
  }

  /** Speaks the agent protocol for the session whose token is the first line, until either ends. Never rejects. */
  async serveAgent(stream: Duplex): Promise<void> {
    stream.on('error', () => {})
    try {
      const token = await readLine(stream, this.#options.env)
      const found = await this.#find(token, undefined)
      const { value } = found
      const open = this.#agents.get(value.id) ?? new Set()
      if (open.size >= maxAgents) throw new AccessDenied('too many agents of one session')
      this.#agents.set(value.id, open.add(stream))
      stream.once('close', () => {
        open.delete(stream)
        if (open.size === 0 && this.#agents.get(value.id) === open) this.#agents.delete(value.id)
      })
      // It may have ended while it was looked up, and its end have been told before anybody listened.
      this.#options.index.add(found.id, value)
      if ((await this.#options.tables.webSessions.find(found.id)) === undefined) {
        this.#options.index.remove(found.id)
        throw over()
      }
      const key = privateKeyFromKeyObject(createPrivateKey(value.privateKey))
      const certificate = parseCertificateLine(value.certificate)
      const identity = { blob: certificate.blob, publicKey: key.publicKey, certificate, comment: 'web session' }
      // The greeting says that the token was good; without it the other end could not tell a refusal from a slow answer.
      stream.write('ok\n')
      await serveAgent(stream, {
        list: () => [identity],
        sign: (blob, data, algorithm) => {
          if (!blob.equals(certificate.blob) || !this.#holds(value)) throw over()
          return key.signSync(data, algorithm)
        },
      })
    } catch (error) {
      this.#options.logger.debug('an agent of a web session was refused', { reason: messageOf(error) })
      stream.destroy()
    }
  }

  async #find(token: string, client: WebClient | undefined): Promise<Found<StoredWebSession>> {
    const { tables } = this.#options
    const stored = await tables.webSessions.find(hashToken(token))
    const found = stored !== undefined && this.#hasLapsed(stored.value) ? await this.#goBack(stored) : stored
    if (found === undefined || !this.#holds(found.value, client)) throw over()
    return found
  }

  /** What a request gave has ended, and the login has not. */
  #hasLapsed(record: StoredWebSession): boolean {
    const now = this.#options.env.now()
    return record.assumed !== undefined && Date.parse(record.expires) <= now.getTime() && this.#ends(record) > now
  }

  /** It goes on with the roles of its own. */
  async #goBack(found: Found<StoredWebSession>): Promise<Found<StoredWebSession> | undefined> {
    const { tables, backend } = this.#options
    const record = await this.#withRoles(found.value, [])
    try {
      await backend.compareAndSwap(tables.webSessions.item(found.id, record, this.#ends(record)), found.revision)
    } catch (error) {
      // Another request was first.
      if (!isCompareFailed(error) && !isNotFound(error)) throw error
    }
    const now = await tables.webSessions.find(found.id)
    if (now !== undefined) this.#options.index.add(now.id, now.value)
    return now
  }

  /** The session with a certificate for the roles of its login and of these requests. */
  async #withRoles(record: StoredWebSession, wanted: readonly string[]): Promise<StoredWebSession> {
    const { users, accessRequests, issuer } = this.#options
    const { assumed, ...session } = record
    const own = {
      ownRoles: assumed?.ownRoles ?? record.roles,
      ownExpires: assumed?.ownExpires ?? record.expires,
    }
    const certificate = parseCertificateLine(record.certificate)
    const user = (await users.get(record.user)).value
    // Another one of that name, and the certificate that would tell may have ended.
    if (certificate.extensions.get(sinceExtension)?.toString('utf8') !== user.created) throw over()
    const roles = (await users.rolesOf(user)).filter(({ metadata }) => own.ownRoles.includes(metadata.name))
    const isHeld = (id: string) => assumed?.accessRequests.includes(id) === true
    const granted = await accessRequests.grantsFor(
      user,
      { roles, expires: new Date(own.ownExpires) },
      { held: wanted.filter(isHeld), wanted: wanted.filter((id) => !isHeld(id)) },
    )
    const credentials = await issuer.user({
      ...granted,
      user,
      publicKey: certificate.publicKey,
      ttlSeconds: undefined,
      address: record.address,
    })
    return {
      ...session,
      roles: [...credentials.roles],
      logins: [...credentials.logins],
      certificate: credentials.certificate,
      expires: credentials.validBefore,
      ...(granted.accessRequests.length === 0
        ? {}
        : { assumed: { accessRequests: [...granted.accessRequests], ...own } }),
    }
  }

  /** Not ended, not idle for too long, and its certificate would still be taken. */
  #holds(record: StoredWebSession, client?: WebClient): boolean {
    const { env, hub } = this.#options
    const now = env.now()
    if (this.#ends(record) <= now) return false
    const certificate = parseCertificateLine(record.certificate)
    const sourceAddress = client?.address ?? record.address
    return authenticateUser(hub, { certificate, login: undefined, sourceAddress, now }).ok
  }

  /** Written now and then, so that a page that is used costs the store little. */
  async #touch(found: Found<StoredWebSession>, { address }: WebClient): Promise<StoredWebSession> {
    const { tables, backend, env } = this.#options
    const now = env.now()
    if (now.getTime() - Date.parse(found.value.lastSeen) < touchEvery) return found.value
    const record = { ...found.value, lastSeen: now.toISOString(), seenFrom: address }
    try {
      await backend.compareAndSwap(tables.webSessions.item(found.id, record, this.#ends(record)), found.revision)
    } catch (error) {
      // Somebody else touched it, or it has just ended: the next request will tell.
      if (!isCompareFailed(error) && !isNotFound(error)) throw error
      return found.value
    }
    return record
  }

  #ends(record: StoredWebSession): Date {
    const idle = Date.parse(record.lastSeen) + this.#options.settings.webIdleMs
    return new Date(Math.min(Date.parse(record.assumed?.ownExpires ?? record.expires), idle))
  }

  #shown(record: StoredWebSession): WebSession {
    const { id, user, roles, logins, certificate, created, assumed } = record
    return {
      id,
      user,
      roles,
      logins,
      certificate,
      created,
      expires: assumed?.ownExpires ?? record.expires,
      idleExpires: this.#ends(record).toISOString(),
      accessRequests: assumed?.accessRequests ?? [],
    }
  }

  #endAgents(id: string): void {
    for (const stream of this.#agents.get(id) ?? []) stream.destroy()
    this.#agents.delete(id)
  }

  #sweep(): void {
    const { index, env } = this.#options
    for (const [hash, record] of [...index.entries()]) {
      if (this.#ends(record) <= env.now()) index.remove(hash)
      else if (this.#agents.has(record.id) && !this.#holds(record)) this.#endAgents(record.id)
    }
  }

  async #keepSweeping(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#options.env.sleep(sweepEvery, signal).catch(() => undefined)
      if (!signal.aborted) this.#sweep()
    }
  }
}

const over = () => new AccessDenied('the session is over; log in again')
