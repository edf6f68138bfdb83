/**
 * User authentication, client side (RFC 4252). The first attempt leaves together with the service request and, where there is
 * one candidate, already carries its proof: one round trip from the keys to the login.
 */

import { silentLogger } from '../../common/log.ts'
import { AccessDenied, ConnectionProblem } from '../../errors/errors.ts'
import { publicKeyAlgorithmName } from '../certificate/algorithms.ts'
import type { ClientIdentity } from '../client-types.ts'
import type { SignatureAlgorithm } from '../keys/types.ts'
import { DisconnectReason, Message } from '../transport/messages.ts'
import { PeerDisconnected, ProtocolProblem } from '../transport/problem.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { passwordRequest, publicKeyRequest, signedData, USERAUTH_SERVICE } from './request.ts'
import type { AuthenticateClient, ClientAuthOptions } from './types.ts'

const MAX_BANNERS = 16
const MAX_BANNER_BYTES = 64 * 1024

interface KeyAttempt {
  readonly kind: 'key'
  readonly identity: ClientIdentity
  readonly label: string
}
type Attempt = KeyAttempt | { readonly kind: 'password'; readonly password: string; readonly label: string }

/** What was sent and waits for an answer. */
type Outstanding =
  | { readonly kind: 'query'; readonly attempt: KeyAttempt; readonly name: string; readonly blob: Buffer }
  | { readonly kind: 'proof' }
  | { readonly kind: 'password' }

/** See `AuthenticateClient`. */
export const authenticateClient: AuthenticateClient = (options) => new ClientAuth(options).run()

class ClientAuth {
  readonly #options: ClientAuthOptions
  readonly #attempts: Attempt[]
  readonly #single: boolean
  readonly #tried: string[] = []
  readonly #done = Promise.withResolvers<void>()
  #serviceAccepted = false
  #outstanding: Outstanding | undefined
  #methods: readonly string[] | undefined
  #banners = 0

  constructor(options: ClientAuthOptions) {
    this.#options = options
    this.#attempts = attemptsOf(options)
    this.#single = this.#attempts.filter((attempt) => attempt.kind === 'key').length === 1
  }

  run(): Promise<void> {
    const { transport } = this.#options
    void transport.closed.then((error) => this.#done.reject(this.#explain(error)))
    transport.start((payload) => this.#onMessage(payload))
    transport.send(new WireWriter(32).byte(Message.SERVICE_REQUEST).string(USERAUTH_SERVICE).take())
    this.#proceed()
    return this.#done.promise
  }

  #explain(error: Error | undefined): Error {
    if (error instanceof PeerDisconnected && this.#tried.length > 0) {
      return new AccessDenied(`the server refused the login: ${error.message} (${this.#summary()})`, { cause: error })
    }
    return error ?? new ConnectionProblem('the connection was closed during the login')
  }

  #summary(): string {
    const tried = this.#tried.length === 0 ? 'nothing to try' : `tried ${this.#tried.join(', ')}`
    return this.#methods === undefined
      ? tried
      : `${tried}; the server accepts ${this.#methods.join(', ') || 'nothing more'}`
  }

  /** Runs an asynchronous step; whatever it throws ends the login. */
  #proceed(): void {
    this.#next().catch((error: unknown) => {
      this.#done.reject(error)
      this.#options.transport.disconnect(DisconnectReason.AUTH_CANCELLED_BY_USER, 'the login was given up')
    })
  }

  async #next(): Promise<void> {
    for (let attempt = this.#attempts.shift(); attempt !== undefined; attempt = this.#attempts.shift()) {
      if (await this.#try(attempt)) return
    }
    throw new AccessDenied(`the server does not let ${this.#options.user} in: ${this.#summary()}`)
  }

  /** False when the attempt makes no sense with this server. */
  async #try(attempt: Attempt): Promise<boolean> {
    const { transport, user } = this.#options
    const method = attempt.kind === 'key' ? 'publickey' : 'password'
    if (this.#methods !== undefined && !this.#methods.includes(method)) return false
    if (attempt.kind === 'password') {
      this.#tried.push(attempt.label)
      this.#outstanding = { kind: 'password' }
      transport.send(passwordRequest(user, attempt.password))
      return true
    }
    const signature = this.#signatureAlgorithm(attempt.identity)
    if (signature === undefined) {
      this.#tried.push(`${attempt.label} (no signature algorithm in common)`)
      return false
    }
    this.#tried.push(attempt.label)
    const { name, blob } = wireKey(attempt.identity, signature)
    if (this.#single) {
      await this.#prove(attempt.identity, signature)
    } else {
      // Several candidates: ask first, so that no key is used (or security key touched) in vain.
      this.#outstanding = { kind: 'query', attempt, name, blob }
      transport.send(publicKeyRequest(user, name, blob, this.#hostKey(), false))
    }
    return true
  }

  async #prove(identity: ClientIdentity, signature: SignatureAlgorithm): Promise<void> {
    const { transport, user } = this.#options
    const { name, blob } = wireKey(identity, signature)
    const request = publicKeyRequest(user, name, blob, this.#hostKey(), true)
    const proof = await identity.signer.sign(signedData(transport.sessionId, request), signature)
    if (transport.isClosed) return
    this.#outstanding = { kind: 'proof' }
    transport.send(request, new WireWriter(proof.length + 4).string(proof).take())
  }

  #hostKey(): Buffer | undefined {
    const { transport } = this.#options
    const version = transport.peerExtensions.get('publickey-hostbound@openssh.com')
    return version?.toString('latin1') === '0' ? transport.hostKeyBlob : undefined
  }

  #signatureAlgorithm(identity: ClientIdentity): SignatureAlgorithm | undefined {
    const { algorithms } = identity.signer
    const listed = this.#options.transport.peerExtensions.get('server-sig-algs')?.toString('latin1').split(',')
    return listed === undefined ? algorithms[0] : algorithms.find((name) => listed.includes(name))
  }

  #onMessage(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    switch (payload[0]) {
      case Message.SERVICE_ACCEPT:
        if (this.#serviceAccepted || reader.ascii(64) !== USERAUTH_SERVICE) unexpected(payload[0])
        this.#serviceAccepted = true
        return
      case Message.USERAUTH_BANNER:
        this.#onBanner(reader)
        return
      case Message.USERAUTH_FAILURE:
        this.#take(payload[0])
        this.#methods = reader.nameList(64)
        this.#proceed()
        return
      case Message.USERAUTH_SUCCESS:
        this.#take(payload[0], 'proof', 'password')
        this.#options.transport.authenticated()
        this.#done.resolve()
        return
      case Message.USERAUTH_PK_OK:
        this.#onNumber60(reader)
        return
      default:
        unexpected(payload[0] ?? 0)
    }
  }

  /** The outstanding request, which is answered with this message. */
  #take(message: number, ...kinds: readonly Outstanding['kind'][]): Outstanding {
    const outstanding = this.#outstanding
    this.#outstanding = undefined
    if (outstanding === undefined || !this.#serviceAccepted) unexpected(message)
    if (kinds.length > 0 && !kinds.includes(outstanding.kind)) unexpected(message)
    return outstanding
  }

  #onBanner(reader: WireReader): void {
    const text = reader.text(MAX_BANNER_BYTES)
    this.#banners++
    if (this.#banners > MAX_BANNERS) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, 'too many banners')
    }
    this.#options.onBanner?.(text)
  }

  /** PK_OK to a query; the same number asks for a new password after a password. */
  #onNumber60(reader: WireReader): void {
    const outstanding = this.#take(Message.USERAUTH_PK_OK, 'query', 'password')
    if (outstanding.kind !== 'query') {
      this.#done.reject(new AccessDenied('the server wants the password changed; change it there first'))
      this.#options.transport.disconnect(DisconnectReason.AUTH_CANCELLED_BY_USER, 'the password is not changed here')
      return
    }
    const { attempt, name, blob } = outstanding
    if (reader.ascii(128) !== name || !reader.string().equals(blob)) unexpected(Message.USERAUTH_PK_OK)
    const signature = this.#signatureAlgorithm(attempt.identity)
    if (signature === undefined) unexpected(Message.USERAUTH_PK_OK)
    this.#prove(attempt.identity, signature).catch((error: unknown) => {
      // The agent refused or went away: the next candidate may still do.
      const { logger = silentLogger } = this.#options
      logger.warn('a key could not sign', { key: attempt.label, error })
      this.#proceed()
    })
  }
}

function attemptsOf(options: ClientAuthOptions): Attempt[] {
  const keys = options.identities.map((identity): KeyAttempt => {
    const { certificate, signer } = identity
    const label =
      certificate === undefined ? `key ${signer.publicKey.type}` : `certificate ${printable(certificate.keyId)}`
    return { kind: 'key', identity, label }
  })
  const certified = (attempt: KeyAttempt): boolean => attempt.identity.certificate !== undefined
  const attempts: Attempt[] = [...keys.filter(certified), ...keys.filter((attempt) => !certified(attempt))]
  if (options.password !== undefined) attempts.push({ kind: 'password', password: options.password, label: 'password' })
  return attempts
}

const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, '').slice(0, 100)

function wireKey(
  identity: ClientIdentity,
  signature: SignatureAlgorithm,
): { readonly name: string; readonly blob: Buffer } {
  const { certificate, signer } = identity
  if (certificate === undefined) {
    return { name: publicKeyAlgorithmName(signer.publicKey.type, signature), blob: signer.publicKey.blob }
  }
  return { name: publicKeyAlgorithmName(certificate.algorithm, signature), blob: certificate.blob }
}

function unexpected(message: number): never {
  throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, `message ${message} is not expected now`)
}
