/** What the engine means by a key, a signature and something that can sign. Shapes only; the code is beside it. */

/** Key types as they stand in a key blob (RFC 4253 section 6.6, RFC 8709, PROTOCOL.u2f). Nothing else is accepted. */
export type KeyType =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'ssh-rsa'
  | 'sk-ssh-ed25519@openssh.com'
  | 'sk-ecdsa-sha2-nistp256@openssh.com'

/** Signature algorithms (RFC 8332 for RSA). `ssh-rsa`, that is SHA-1, is deliberately not one. */
export type SignatureAlgorithm =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'rsa-sha2-256'
  | 'rsa-sha2-512'
  | 'sk-ssh-ed25519@openssh.com'
  | 'sk-ecdsa-sha2-nistp256@openssh.com'

/** A plain public key. `blob` is its wire form and its identity: two keys are equal when their blobs are. */
export interface PublicKey {
  readonly type: KeyType
  readonly blob: Buffer
  /** RSA modulus size in bits; undefined for other types. */
  readonly bits?: number
  /** Application string of a security key (`ssh:`), undefined for others. */
  readonly application?: string
}

/** Requirements on signatures by security keys (PROTOCOL.u2f). The default demands a touch. */
export interface VerifyOptions {
  /** Accept a security-key signature without the user-presence flag. Default false. */
  readonly noTouchRequired?: boolean
  /** Demand the user-verification flag. Default false. */
  readonly verifyRequired?: boolean
}

/** Something that can sign: a private key in memory, or one held by an agent. */
export interface Signer {
  readonly publicKey: PublicKey
  /** The algorithms this signer can produce, preferred first. */
  readonly algorithms: readonly SignatureAlgorithm[]
  /** Returns the SSH signature blob (`string algorithm, string signature`). Throws when the agent refuses. */
  sign(data: Buffer, algorithm?: SignatureAlgorithm): Promise<Buffer>
}

/** A private key in memory. */
export interface PrivateKey extends Signer {
  /** Signs without a promise; only keys in memory can. */
  signSync(data: Buffer, algorithm?: SignatureAlgorithm): Buffer
  readonly comment: string
}
