/** What an agent holds and what it can be asked (draft-miller-ssh-agent). */

import type { Certificate } from '../certificate/types.ts'
import type { PrivateKey, PublicKey, SignatureAlgorithm } from '../keys/types.ts'

/** One entry of an agent: a plain key, or a certificate with the key it certifies. */
export interface AgentIdentity {
  /** What names the entry in requests: the key blob, or the certificate blob. */
  readonly blob: Buffer
  readonly publicKey: PublicKey
  readonly certificate: Certificate | undefined
  readonly comment: string
}

/** A key to be kept by an agent. With a certificate the entry stands for the certificate; add the plain key separately. */
export interface NewIdentity {
  readonly key: PrivateKey
  readonly certificate?: Certificate | undefined
  /** Default: the comment of the key. */
  readonly comment?: string
  /** The agent forgets the key after so many seconds. Default: never. */
  readonly lifetimeSeconds?: number | undefined
}

/** What stands behind `serveAgent`. A method that is absent, or that throws, is answered with FAILURE. */
export interface AgentBackend {
  list(): readonly AgentIdentity[] | Promise<readonly AgentIdentity[]>
  /** Gives a signature blob. `algorithm` is undefined for types that have only one; RSA always names SHA-2. */
  sign(blob: Buffer, data: Buffer, algorithm: SignatureAlgorithm | undefined): Buffer | Promise<Buffer>
  add?(identity: NewIdentity): void | Promise<void>
  /** Throws when there is no such identity. */
  remove?(blob: Buffer): void | Promise<void>
  removeAll?(): void | Promise<void>
}
