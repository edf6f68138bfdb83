/** An agent that keeps keys in memory, for `serveAgent` or for use in the same process. */

import { type Env, realEnv } from '../../common/env.ts'
import { BadParameter, LimitExceeded, NotFound } from '../../errors/errors.ts'
import { equalKeys } from '../keys/public-key.ts'
import type { PrivateKey, SignatureAlgorithm } from '../keys/types.ts'
import type { AgentBackend, AgentIdentity, NewIdentity } from './types.ts'

interface Entry {
  readonly identity: AgentIdentity
  readonly key: PrivateKey
  /** Milliseconds of `env.monotonicMs`. */
  readonly endsAt: number
}

/** Identities. */
const maxEntries = 256

/** Holds at most 256 identities, each until its lifetime is over (in seconds, counted on the clock that never jumps). */
export class MemoryAgent implements AgentBackend {
  readonly #env: Env
  readonly #entries = new Map<string, Entry>()

  constructor(env: Env = realEnv) {
    this.#env = env
  }

  list(): readonly AgentIdentity[] {
    this.#expire()
    return [...this.#entries.values()].map((entry) => entry.identity)
  }

  /** Throws NotFound for a key that is not, or no longer, here. */
  async sign(blob: Buffer, data: Buffer, algorithm?: SignatureAlgorithm): Promise<Buffer> {
    this.#expire()
    const entry = this.#entries.get(idOf(blob))
    if (entry === undefined) throw new NotFound('the agent does not have this key')
    return await entry.key.sign(data, algorithm)
  }

  /** Adds, or replaces what has the same blob. Throws BadParameter for a certificate of another key, LimitExceeded beyond 256 entries. */
  add({ key, certificate, comment = key.comment, lifetimeSeconds }: NewIdentity): void {
    this.#expire()
    if (certificate !== undefined && !equalKeys(certificate.publicKey, key.publicKey)) {
      throw new BadParameter('certificate', 'the certificate is for another key')
    }
    const blob = certificate?.blob ?? key.publicKey.blob
    if (this.#entries.size >= maxEntries && !this.#entries.has(idOf(blob))) {
      throw new LimitExceeded(`the agent holds ${maxEntries} keys already; remove some with ssh-add -d`)
    }
    const endsAt =
      lifetimeSeconds === undefined ? Number.POSITIVE_INFINITY : this.#env.monotonicMs() + lifetimeSeconds * 1000
    this.#entries.set(idOf(blob), { identity: { blob, publicKey: key.publicKey, certificate, comment }, key, endsAt })
  }

  /** Throws NotFound. */
  remove(blob: Buffer): void {
    this.#expire()
    if (!this.#entries.delete(idOf(blob))) throw new NotFound('the agent does not have this key')
  }

  removeAll(): void {
    this.#entries.clear()
  }

  #expire(): void {
    const now = this.#env.monotonicMs()
    for (const [id, entry] of this.#entries) if (entry.endsAt <= now) this.#entries.delete(id)
  }
}

const idOf = (blob: Buffer): string => blob.toString('latin1')
