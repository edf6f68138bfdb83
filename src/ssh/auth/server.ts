/**
 * User authentication, server side (RFC 4252). An identity comes only from a request that was allowed and proven itself: nothing
 * is carried over from a query or from an earlier attempt.
 */

import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { ConnectionProblem } from '../../errors/errors.ts'
import { verifySignature } from '../keys/signature.ts'
import type { AuthDecision, AuthRequest } from '../server-types.ts'
import { resolveLimits } from '../transport/limits.ts'
import { DisconnectReason, Message } from '../transport/messages.ts'
import { ProtocolProblem } from '../transport/problem.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import {
  CONNECTION_SERVICE,
  offeredKey,
  type ParsedRequest,
  type PublicKeyRequest,
  parseRequest,
  signedData,
  USERAUTH_SERVICE,
} from './request.ts'
import type { AuthenticateServer, ServerAuthOptions, ServerAuthResult } from './types.ts'

/**
 * A refusal is answered on a multiple of this, milliseconds after the request came, so that how long it took says nothing
 * about how far it got. Logins that succeed, queries and `none` do not wait.
 */
const REFUSAL_STEP_MS = 25
/** Requests of any kind per allowed failure: queries that are answered with PK_OK do not count as failures. */
const REQUESTS_PER_TRY = 8

type Outcome<Identity> =
  | { readonly kind: 'success'; readonly result: ServerAuthResult<Identity> }
  | { readonly kind: 'reply'; readonly message: Buffer }
  | {
      readonly kind: 'refused'
      readonly reason: string
      readonly disconnect?: string | undefined
      readonly proof: boolean
    }

/** See `AuthenticateServer`. */
export const authenticateServer: AuthenticateServer = (options) => new ServerAuth(options).run()

class ServerAuth<Identity> {
  readonly #options: ServerAuthOptions<Identity>
  readonly #maxTries: number
  readonly #env
  readonly #result = Promise.withResolvers<ServerAuthResult<Identity>>()
  #serviceAccepted = false
  #first: { readonly user: string; readonly service: string } | undefined
  #requests = 0
  #failures = 0
  #reported = false
  /** A refused query: reported when the client gives up without having tried to prove anything. */
  #lastRefusal: { readonly request: AuthRequest; readonly reason: string } | undefined
  /** An attempt that the policy never saw, since there was nothing to judge: reported in the same way. */
  #unusable: string | undefined

  constructor(options: ServerAuthOptions<Identity>) {
    this.#options = options
    this.#env = options.env ?? realEnv
    this.#maxTries = resolveLimits(options.limits).maxAuthTries
  }

  run(): Promise<ServerAuthResult<Identity>> {
    const { transport } = this.#options
    void transport.closed.then((error) => {
      const reason = error ?? new ConnectionProblem('the client left before it logged in')
      if (!this.#reported) this.#reportAtEnd(reason.message)
      this.#result.reject(reason)
    })
    transport.start((payload) => this.#onMessage(payload))
    // Once resolved, the rejection by `closed` has no effect.
    return this.#result.promise.finally(() => {
      this.#reported = true
    })
  }

  #report(request: AuthRequest | undefined, reason: string): void {
    this.#reported = true
    this.#options.authFailed?.(request, reason)
  }

  /** Whoever only connected, or only asked for the methods, has attempted nothing: there is no request then. */
  #reportAtEnd(closed: string): void {
    const refusal = this.#lastRefusal
    const reasons = [this.#unusable, refusal?.reason].filter((reason) => reason !== undefined)
    if (reasons.length === 0) this.#report(undefined, closed)
    else this.#report(refusal?.request ?? { method: 'none', user: this.#first?.user ?? '' }, reasons.join('; then '))
  }

  #onMessage(payload: Buffer): void {
    if (payload[0] === Message.SERVICE_REQUEST) {
      this.#onServiceRequest(payload)
      return
    }
    if (payload[0] !== Message.USERAUTH_REQUEST || !this.#serviceAccepted) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, 'authentication before the service was requested')
    }
    const { transport } = this.#options
    // One request at a time: the next is not looked at before this one has its answer.
    transport.pause()
    const started = this.#env.monotonicMs()
    this.#onRequest(parseRequest(payload), started).then(
      () => transport.resume(),
      (error: unknown) => this.#abort(error),
    )
  }

  #onServiceRequest(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    const service = reader.ascii(64)
    reader.end()
    if (service !== USERAUTH_SERVICE) {
      throw new ProtocolProblem(
        DisconnectReason.SERVICE_NOT_AVAILABLE,
        'the only service before the login is ssh-userauth',
      )
    }
    if (this.#serviceAccepted) throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, 'second service request')
    this.#serviceAccepted = true
    const { transport, banner } = this.#options
    transport.send(new WireWriter(32).byte(Message.SERVICE_ACCEPT).string(USERAUTH_SERVICE).take())
    if (banner !== undefined) {
      transport.send(new WireWriter(256).byte(Message.USERAUTH_BANNER).string(banner).string('').take())
    }
  }

  #abort(error: unknown): void {
    const { transport, logger = silentLogger } = this.#options
    if (error instanceof ProtocolProblem) transport.disconnect(error.reason, error.message)
    else {
      logger.error('internal error during authentication', { error })
      transport.disconnect(DisconnectReason.BY_APPLICATION, 'internal error')
    }
    this.#result.reject(error)
  }

  async #onRequest(request: ParsedRequest, started: number): Promise<void> {
    const { transport } = this.#options
    this.#checkContinuity(request)
    const outcome = await this.#judge(request)
    if (transport.isClosed) return
    switch (outcome.kind) {
      case 'success':
        transport.send(Buffer.from([Message.USERAUTH_SUCCESS]))
        this.#result.resolve(outcome.result)
        transport.authenticated()
        return
      case 'reply':
        transport.send(outcome.message)
        return
      case 'refused':
        await this.#refuse(request, outcome.disconnect, outcome.proof, started)
    }
  }

  /** As OpenSSH: who changes the user or the service in the middle is cut, instead of starting anew as RFC 4252 section 5 has it. */
  #checkContinuity(request: ParsedRequest): void {
    this.#requests++
    if (this.#requests > this.#maxTries * REQUESTS_PER_TRY) this.#tooMany()
    if (request.service !== CONNECTION_SERVICE) {
      throw new ProtocolProblem(
        DisconnectReason.SERVICE_NOT_AVAILABLE,
        'the only service after the login is ssh-connection',
      )
    }
    this.#first ??= { user: request.user, service: request.service }
    if (request.user !== this.#first.user) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, 'the user name may not change between attempts')
    }
  }

  #tooMany(): never {
    throw new ProtocolProblem(DisconnectReason.NO_MORE_AUTH_METHODS_AVAILABLE, 'Too many authentication failures')
  }

  async #judge(request: ParsedRequest): Promise<Outcome<Identity>> {
    const refused = (reason: string): Outcome<Identity> => this.#unjudged(reason)
    const { methods } = this.#options
    switch (request.method) {
      case 'none':
        return { kind: 'refused', reason: 'no method', proof: false }
      case 'unknown':
        return refused('unknown method')
      case 'password':
        if (!methods.includes('password') || request.change) return refused('passwords are not accepted')
        return await this.#judgePassword(request.user, request.password)
      case 'publickey':
        if (!methods.includes('publickey')) return refused('keys are not accepted')
        return await this.#judgeKey(request.user, request)
    }
  }

  async #judgePassword(user: string, password: string): Promise<Outcome<Identity>> {
    const asked: AuthRequest = { method: 'password', user, password }
    const decision = await this.#options.authenticate(asked)
    if (!decision.allow) return this.#refusal(asked, decision, true)
    return { kind: 'success', result: { user, identity: decision.identity, certificate: undefined } }
  }

  async #judgeKey(user: string, request: PublicKeyRequest): Promise<Outcome<Identity>> {
    const { transport } = this.#options
    const key = offeredKey(request)
    if (key === undefined) return this.#unjudged('unknown or malformed key')
    if (request.hostKey !== undefined && !request.hostKey.equals(transport.hostKeyBlob)) {
      return this.#unjudged('the proof is meant for another server')
    }
    const { publicKey, certificate, signatureAlgorithm } = key
    const { signature } = request
    const asked: AuthRequest = { method: 'publickey', user, publicKey, certificate, signed: signature !== undefined }
    if (signature === undefined) {
      const decision = await this.#options.authenticate(asked)
      if (!decision.allow) return this.#refusal(asked, decision, false)
      const writer = new WireWriter(request.blob.length + 64).byte(Message.USERAUTH_PK_OK)
      return { kind: 'reply', message: writer.string(request.algorithm).string(request.blob).take() }
    }
    // The proof comes before the policy, so that whoever is asked about a signed request may take the possession for granted.
    // What a security key must have recorded (touch, PIN) only the policy knows: that is checked after it.
    const data = signedData(transport.sessionId, request.signedPart)
    const holds = (noTouchRequired: boolean, verifyRequired: boolean): boolean =>
      verifySignature(publicKey, data, signature, signatureAlgorithm, { noTouchRequired, verifyRequired })
    if (!holds(true, false)) {
      return this.#refusal(asked, { allow: false, reason: 'the signature does not match the key' }, true)
    }
    const decision = await this.#options.authenticate(asked)
    if (!decision.allow) return this.#refusal(asked, decision, true)
    if (!holds(decision.noTouchRequired ?? false, decision.verifyRequired ?? false)) {
      return this.#refusal(asked, { allow: false, reason: 'the security key was not touched or not unlocked' }, true)
    }
    return { kind: 'success', result: { user, identity: decision.identity, certificate } }
  }

  #unjudged(reason: string): Outcome<Identity> {
    this.#unusable ??= reason
    return { kind: 'refused', reason, proof: false }
  }

  #refusal(
    asked: AuthRequest,
    decision: Extract<AuthDecision<Identity>, { allow: false }>,
    proof: boolean,
  ): Outcome<Identity> {
    const { reason, disconnect } = decision
    if (proof) this.#report(asked, reason)
    else this.#lastRefusal = { request: asked, reason }
    return { kind: 'refused', reason, disconnect, proof }
  }

  async #refuse(
    request: ParsedRequest,
    disconnect: string | undefined,
    proof: boolean,
    started: number,
  ): Promise<void> {
    const { transport, methods } = this.#options
    // `none` is how clients ask for the methods; the first is free.
    if (request.method !== 'none' || this.#requests > 1) this.#failures++
    if (proof) {
      const elapsed = this.#env.monotonicMs() - started
      await this.#env.sleep(REFUSAL_STEP_MS - (elapsed % REFUSAL_STEP_MS))
    }
    if (transport.isClosed) return
    if (disconnect !== undefined) {
      throw new ProtocolProblem(DisconnectReason.NO_MORE_AUTH_METHODS_AVAILABLE, disconnect)
    }
    if (this.#failures >= this.#maxTries) this.#tooMany()
    transport.send(new WireWriter(64).byte(Message.USERAUTH_FAILURE).nameList(methods).boolean(false).take())
  }
}
