/**
 * Auth's own host certificate and the administrator's, in files of the data directory: made at the first start, and again whenever
 * another authority signs or others are trusted. While two host authorities are trusted, auth has a certificate of each.
 */

import { authApiHost } from '../api/auth-channel.ts'
import { loadIdentity, type MachineIdentity, saveIdentity } from '../api/identity.ts'
import { prefers } from '../api/known-authorities.ts'
import { parseKeyLine } from '../api/lines.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { isNotFound } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import { equalKeys } from '../ssh/keys/public-key.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import type { Authorities, AuthorityType } from './authorities.ts'
import type { AuthPaths } from './bootstrap.ts'
import type { Issuer } from './certificates.ts'

export interface OwnIdentitiesOptions {
  readonly paths: AuthPaths
  /** Of this machine. */
  readonly uuid: string
  readonly authorities: Authorities
  readonly issuer: Issuer
  readonly names: readonly string[]
  readonly env: Env
  readonly logger: Logger
}

/** Milliseconds. */
const retryAfter = 5_000

export class OwnIdentities {
  readonly #options: OwnIdentitiesOptions
  readonly #closing = new AbortController()
  #own: MachineIdentity | undefined
  /** Signed by the other host authority while there is one. */
  #other: MachineIdentity | undefined
  #running: Promise<void> = Promise.resolve()
  #retrying = false

  private constructor(options: OwnIdentitiesOptions) {
    this.#options = options
  }

  /** Throws when they can neither be read nor made. */
  static async open(options: OwnIdentitiesOptions): Promise<OwnIdentities> {
    const identities = new OwnIdentities(options)
    await identities.#follow()
    options.authorities.onChange(() => identities.#changed())
    return identities
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /** The certificate of the authority that signs, unless the client says that it knows the other one only. */
  shownTo(clientVersion: string): MachineIdentity {
    const own = this.#own
    if (own === undefined) throw new Error('the identity of auth is not there yet')
    const other = this.#other
    if (other === undefined) return own
    return prefers(clientVersion, other.certificate.signatureKey, own.certificate.signatureKey) ? other : own
  }

  /** Resolves after the first attempt. What fails is tried again until it has succeeded: without its files, auth could not start again. */
  #changed(): Promise<void> {
    // It reads what is true when it comes to it.
    if (this.#retrying) return Promise.resolve()
    const first = this.#running.then(() => this.#follow())
    this.#running = first.catch((error: unknown) => this.#retry(error))
    return first.catch(() => undefined)
  }

  async #retry(failure: unknown): Promise<void> {
    const { env, logger } = this.#options
    const { signal } = this.#closing
    this.#retrying = true
    let reason = messageOf(failure)
    while (!signal.aborted) {
      logger.error("auth's own certificates cannot be made again; trying on", { reason })
      await env.sleep(retryAfter, signal).catch(() => undefined)
      if (signal.aborted) break
      this.#retrying = false
      try {
        await this.#follow()
        return
      } catch (error) {
        this.#retrying = true
        reason = messageOf(error)
      }
    }
  }

  async #follow(): Promise<void> {
    const { paths, uuid, names, authorities, issuer, env } = this.#options
    const ownNames = [...names, authApiHost]
    // The administrator's first: with it the rest can be looked at and repaired.
    await this.#ensure(paths.admin, 'Admin', env.randomUuid(), [])
    const own = await this.#ensure(paths.identity, 'Auth', uuid, ownNames)
    this.#own = own
    const authority = authorities.otherHost
    if (authority === undefined) this.#other = undefined
    else if (this.#other === undefined || !isOf(this.#other, own, authority.publicKey)) {
      const { publicKey } = own.key
      const certificate = await issuer.machine({ uuid, role: 'Auth', publicKey, names: ownNames, authority })
      this.#other = { ...own, certificate }
    }
  }

  async #ensure(
    path: string,
    role: 'Auth' | 'Admin',
    uuid: string,
    names: readonly string[],
  ): Promise<MachineIdentity> {
    const { authorities, issuer, env } = this.#options
    const kept = await loadIdentity(path).catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
    const keysOf = (type: AuthorityType) => authorities.public(type).keys.map((line) => parseKeyLine(line, 'authority'))
    const trusted = { hostAuthorities: keysOf('host'), userAuthorities: keysOf('user') }
    const good = kept !== undefined && equalKeys(kept.certificate.signatureKey, authorities.host.publicKey)
    if (good && sameKeys(kept, trusted)) return kept
    // A new authority may be there because somebody got hold of what the machine had: the key is a new one too.
    const key = good ? kept.key : generateEd25519(env)
    const certificate = good ? kept.certificate : await issuer.machine({ uuid, role, publicKey: key.publicKey, names })
    const { clusterName } = authorities
    const identity: MachineIdentity = { role, uuid: good ? kept.uuid : uuid, clusterName, key, certificate, ...trusted }
    await saveIdentity(path, identity)
    return identity
  }
}

type Trusted = Pick<MachineIdentity, 'hostAuthorities' | 'userAuthorities'>

const sameKeys = (a: Trusted, b: Trusted): boolean =>
  same(a.hostAuthorities, b.hostAuthorities) && same(a.userAuthorities, b.userAuthorities)

const same = (a: readonly PublicKey[], b: readonly PublicKey[]): boolean =>
  a.length === b.length && a.every((key, index) => equalKeys(key, b[index] ?? key))

const isOf = (identity: MachineIdentity, own: MachineIdentity, authority: PublicKey): boolean =>
  equalKeys(identity.key.publicKey, own.key.publicKey) && equalKeys(identity.certificate.signatureKey, authority)
