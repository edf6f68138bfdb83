/** Connections to port 3025 of a machine with its host certificate, and of a user through a proxy (docs/protocol.md). */

import type { Duplex } from 'node:stream'
import { type Env, realEnv } from '../common/env.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { AccessDenied, ConnectionProblem, isAccessDenied, isConnectionProblem } from '../errors/errors.ts'
import { connectSsh } from '../ssh/client.ts'
import type { ClientIdentity, SshClient } from '../ssh/client-types.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import type { PresentedHostKey } from '../ssh/transport/types.ts'
import {
  type AuthConnection,
  apiOver,
  authApiHost,
  authKeepAlive,
  authPort,
  handshakeTimeout,
  summarize,
} from './auth-channel.ts'
import { ChannelAgent } from './channel-agent.ts'
import { type ApiClient, createApiClient } from './client.ts'
import { dialTcp } from './dial-tcp.ts'
import { verifyMachine } from './host-certificate.ts'
import type { MachineIdentity } from './identity.ts'
import { identOf } from './known-authorities.ts'

export { type AuthConnection, authApiHost } from './auth-channel.ts'
export { type JoinOptions, joinCluster } from './join.ts'

export interface ConnectAuthOptions {
  /** `host:port` of the auth servers, tried in turn. */
  readonly addresses: readonly string[]
  /** Read for each connection, so that a renewed identity is used from the next one on. */
  identity(): MachineIdentity
  readonly env?: Env
  readonly logger?: Logger
}

/** Milliseconds between attempts. */
const firstRetry = 200
const lastRetry = 5_000
/** Milliseconds: less than the 30 s that `tsh` waits for the proxy, so that its user hears which part did not answer. */
const callTimeout = 20_000
const drainMs = 10_000

/**
 * Dials when first used and again, with backoff, after the connection was lost. Calls fail fast with ConnectionProblem while no
 * auth server answers. Verifies the server's host certificate (role `Auth`, our cluster, host authority).
 */
export function connectAuth(options: ConnectAuthOptions): MachineConnection {
  return new Reconnecting(options)
}

export interface MachineConnection extends AuthConnection {
  /** The identity is another one: further calls go over a new connection. What runs on the old one has ten seconds to end. */
  renew(): void
}

class Reconnecting implements MachineConnection {
  readonly #options: ConnectAuthOptions
  readonly #env: Env
  readonly #logger: Logger
  #agent: ChannelAgent
  #client: ApiClient
  readonly #closing = new AbortController()
  #ssh: SshClient | undefined
  #dialling: Promise<SshClient> | undefined
  #failure: { readonly error: Error; readonly retryAt: number; readonly wait: number } | undefined
  /** The address to try first: the one that worked last. */
  #preferred = 0

  constructor(options: ConnectAuthOptions) {
    this.#options = options
    this.#env = options.env ?? realEnv
    this.#logger = options.logger ?? silentLogger
    this.#agent = this.#newAgent()
    this.#client = this.#newClient()
  }

  readonly call: ApiClient['call'] = (endpoint, ...args) => this.#client.call(endpoint, ...args)
  readonly stream: ApiClient['stream'] = (endpoint, ...args) => this.#client.stream(endpoint, ...args)

  #newAgent(): ChannelAgent {
    return new ChannelAgent({ openStream: () => this.openStream(authApiHost) })
  }

  #newClient(): ApiClient {
    const agent = this.#agent
    return createApiClient({
      agent,
      host: authApiHost,
      peer: 'the auth server',
      timeoutMs: callTimeout,
      env: this.#env,
    })
  }

  renew(): void {
    const old = { agent: this.#agent, ssh: this.#ssh }
    // Its idle channels belong to the old connection.
    this.#agent = this.#newAgent()
    this.#client = this.#newClient()
    this.#ssh = undefined
    this.#dialling = undefined
    this.#failure = undefined
    void this.#env
      .sleep(drainMs, this.#closing.signal)
      .catch(() => undefined)
      .then(async () => {
        old.agent.destroy()
        await old.ssh?.close()
      })
  }

  get connected(): boolean {
    return this.#ssh !== undefined
  }

  async close(): Promise<void> {
    this.#closing.abort(new ConnectionProblem('the connection to the auth server was closed'))
    this.#agent.destroy()
    await this.#dialling?.catch(() => undefined)
    await this.#ssh?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async openStream(host: string): Promise<Duplex> {
    this.#closing.signal.throwIfAborted()
    const ssh = this.#ssh ?? (await this.#dial())
    return ssh.openDirectTcpip(host, 0)
  }

  /** One attempt at a time, whoever asks; between attempts everybody hears why the last one failed. */
  #dial(): Promise<SshClient> {
    const failure = this.#failure
    if (failure !== undefined && this.#env.monotonicMs() < failure.retryAt) return Promise.reject(failure.error)
    if (this.#dialling !== undefined) return this.#dialling
    const dialling: Promise<SshClient> = this.#dialAny()
      .then(
        (ssh) => (this.#dialling === dialling ? this.#established(ssh) : this.#outdated(ssh)),
        (error: Error) => {
          if (this.#dialling !== dialling) throw error
          const wait = Math.min((failure?.wait ?? firstRetry / 2) * 2, lastRetry)
          const jitter = 0.5 + this.#env.randomBytes(2).readUInt16BE() / 65_536
          this.#failure = { error, wait, retryAt: this.#env.monotonicMs() + wait * jitter }
          throw error
        },
      )
      .finally(() => {
        if (this.#dialling === dialling) this.#dialling = undefined
      })
    this.#dialling = dialling
    return dialling
  }

  /** The identity was renewed while this was being dialled. */
  async #outdated(ssh: SshClient): Promise<SshClient> {
    await ssh.close()
    return this.#ssh ?? this.#dial()
  }

  #established(ssh: SshClient): SshClient {
    this.#failure = undefined
    this.#ssh = ssh
    void ssh.closed.then((error) => {
      if (this.#ssh !== ssh) return
      this.#ssh = undefined
      if (!this.#closing.signal.aborted) {
        this.#logger.warn('lost the connection to the auth server', { reason: error?.message ?? 'closed by it' })
      }
    })
    return ssh
  }

  async #dialAny(): Promise<SshClient> {
    const { addresses } = this.#options
    const errors: Error[] = []
    for (let i = 0; i < addresses.length; i++) {
      const index = (this.#preferred + i) % addresses.length
      const address = addresses[index]
      if (address === undefined) continue
      try {
        const ssh = await this.#dialOne(address)
        this.#preferred = index
        this.#logger.debug('connected to the auth server', { address })
        return ssh
      } catch (error) {
        this.#closing.signal.throwIfAborted()
        errors.push(error instanceof Error ? error : new Error(String(error)))
      }
    }
    throw summarize(errors)
  }

  async #dialOne(address: string): Promise<SshClient> {
    const identity = this.#options.identity()
    const { signal } = this.#closing
    const stream = await dialTcp(address, authPort, this.#env, signal)
    const { hostAuthorities, clusterName } = identity
    const verify = authVerifier(address, hostAuthorities, clusterName, this.#env, joinAgain)
    let verified = false
    return connectSsh(
      {
        stream,
        user: identity.uuid,
        ident: identOf(identity.hostAuthorities),
        identities: [{ signer: identity.key, certificate: identity.certificate }],
        verifyHost: (presented) => {
          verify(presented)
          verified = true
        },
        limits: { loginGraceMs: handshakeTimeout },
        keepAlive: authKeepAlive,
        logger: this.#logger,
        signal,
      },
      this.#env,
    ).catch((error: unknown) => {
      if (verified && isAccessDenied(error)) {
        const what = `the auth server at ${address} does not accept the certificate of this machine`
        throw new AccessDenied(`${what}: ${error.message}; ${joinAgain}`, { cause: error })
      }
      if (!isConnectionProblem(error)) throw error
      throw new ConnectionProblem(`cannot connect to ${address}: ${error.message}`, { cause: error })
    })
  }
}

const joinAgain =
  'if the host authority was replaced while this machine was away, it has to join again: stop it, remove its identity.json, and start it with a token and the new CA pin (made by: tctl nodes add)'

/** Accepts only an auth server of the cluster. */
function authVerifier(
  address: string,
  hostAuthorities: readonly PublicKey[],
  clusterName: string,
  env: Env,
  remedy: string,
): (presented: PresentedHostKey) => void {
  return ({ certificate }) => {
    const where = `the server at ${address} is not an auth server of the cluster ${clusterName}`
    if (certificate === undefined) throw new AccessDenied(`${where}: it shows no host certificate`)
    const verdict = verifyMachine(certificate, { hostAuthorities, clusterName, roles: ['Auth'], now: env.now() })
    if (verdict.ok) return
    throw new AccessDenied(`${where}: ${verdict.reason}${verdict.unknownAuthority === true ? `; ${remedy}` : ''}`)
  }
}

export interface UserConnectOptions {
  /** A connected stream to an auth server's SSH port, usually a channel through the proxy. */
  readonly stream: Duplex
  readonly user: string
  readonly identity: ClientIdentity
  readonly hostAuthorities: readonly PublicKey[]
  readonly clusterName: string
  readonly env?: Env
  readonly logger?: Logger
  readonly signal?: AbortSignal
}

/** The auth API for a user with a certificate. Not reconnected when it ends. */
export async function connectAuthAsUser(options: UserConnectOptions): Promise<AuthConnection> {
  const { stream, user, identity, hostAuthorities, clusterName, env = realEnv, logger, signal } = options
  const ssh = await connectSsh(
    {
      stream,
      user,
      ident: identOf(hostAuthorities),
      identities: [identity],
      verifyHost: authVerifier(
        'the other end of the proxy',
        hostAuthorities,
        clusterName,
        env,
        'if the host authority was replaced meanwhile, log in again',
      ),
      keepAlive: authKeepAlive,
      ...(logger === undefined ? {} : { logger }),
      ...(signal === undefined ? {} : { signal }),
    },
    env,
  )
  return apiOver(ssh, env)
}
