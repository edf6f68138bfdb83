/** Connections: to the proxy's SSH port, through it to a node, through it to the auth API. */

import { connect, type Socket } from 'node:net'
import { checkNodeHost, checkProxyHost, type HostCheck } from '../../api/host-check.ts'
import { sessionMfaHint, sessionMfaRefusal } from '../../api/mfa-names.ts'
import { quote } from '../../common/text.ts'
import { AccessDenied, ConnectionProblem, isAccessDenied, isConnectionProblem, NotFound } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'
import { connectSsh } from '../../ssh/client.ts'
import type { SshClient, SshClientOptions } from '../../ssh/client-types.ts'
import { ChannelOpenError } from '../../ssh/connection/types.ts'
import { PeerDisconnected } from '../../ssh/transport/problem.ts'
import { joinHostPort } from './address.ts'
import { fromApart } from './loaded-apart.ts'
import { type ActiveLogin, sshProxy } from './login-state.ts'
import { explainRefusedLogin, withFreshAuthorities } from './trust.ts'

export const ident = 'Teleport_tsh'

/** Milliseconds; `-o ConnectTimeout` sets another. */
const defaultTimeoutMs = 30_000

/** Named moments of a connection, for `--trace`. */
export type Trace = (step: string) => void

export interface DialOptions {
  readonly signal?: AbortSignal
  readonly trace?: Trace
  /** Milliseconds until TCP must stand, and again until the SSH login must be done, as `ConnectTimeout` of OpenSSH. */
  readonly timeoutMs?: number
  /** A TCP connection that was begun earlier. */
  readonly socket?: Promise<Socket>
  readonly keepAlive?: SshClientOptions['keepAlive']
  /** One of many at once: nobody is asked for a second factor each time. */
  readonly batch?: boolean
}

/** Opens TCP. Throws ConnectionProblem that names the address. */
export function dialTcp(host: string, port: number, timeoutMs = defaultTimeoutMs): Promise<Socket> {
  const where = joinHostPort(host, port)
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true })
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new ConnectionProblem(`cannot reach the proxy at ${where}: no answer within ${timeoutMs / 1000} s`))
    }, timeoutMs)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', fail)
      resolve(socket)
    })
    const fail = (error: Error) => {
      clearTimeout(timer)
      reject(convertSystemError(error, `reach the proxy at ${where}`))
    }
    socket.once('error', fail)
  })
}

const hostCheck = (login: ActiveLogin): HostCheck => ({
  authorities: login.hostAuthorities,
  cluster: login.profile.cluster,
  now: new Date(),
})

/** An authenticated connection to the proxy. Throws AccessDenied, ConnectionProblem. */
export function connectProxy(login: ActiveLogin, options: DialOptions = {}): Promise<SshClient> {
  // A socket that was begun earlier is used up by the first attempt.
  const { socket: _, ...rest } = options
  return withFreshAuthorities(login, (again) => dialProxy(login, again ? rest : options))
}

async function dialProxy(login: ActiveLogin, options: DialOptions): Promise<SshClient> {
  const { host, port } = sshProxy(login.profile)
  let verified = false
  const socket = await (options.socket ?? dialTcp(host, port, options.timeoutMs))
  options.trace?.(`TCP to the proxy ${joinHostPort(host, port)}`)
  const client = await connectSsh({
    stream: socket,
    user: login.profile.user,
    ident,
    verifyHost: (presented) => {
      checkProxyHost(presented, hostCheck(login), host)
      verified = true
      options.trace?.('key exchange with the proxy, its host certificate verified')
    },
    identities: [{ signer: login.key, certificate: login.certificate }],
    limits: { loginGraceMs: options.timeoutMs ?? defaultTimeoutMs },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.keepAlive === undefined ? {} : { keepAlive: options.keepAlive }),
  }).catch(async (error: unknown) => {
    if (verified && isAccessDenied(error)) throw toldRefusal(error) ?? (await explainRefusedLogin(login, error))
    if (verified || !isConnectionProblem(error)) throw error
    throw new ConnectionProblem(`cannot reach the proxy at ${joinHostPort(host, port)}: ${error.message}`, {
      cause: error,
    })
  })
  options.trace?.('logged in to the proxy')
  return client
}

/** A node as the proxy is asked for it. */
export interface NodeTarget {
  readonly host: string
  /** 0: the port under which the node is registered. */
  readonly port: number
  /** OS login. */
  readonly login: string
}

/** SSH to a node inside a channel of the proxy connection: encrypted from end to end. */
export function connectNode(
  proxy: SshClient,
  login: ActiveLogin,
  target: NodeTarget,
  options: NodeDialOptions = {},
): Promise<SshClient> {
  return withFreshAuthorities(login, () => dialNode(proxy, login, target, options))
}

type NodeDialOptions = DialOptions &
  Pick<SshClientOptions, 'onAgent' | 'onBanner' | 'onForwardedTcpip' | 'onForwardedStreamlocal' | 'onX11'>

async function dialNode(
  proxy: SshClient,
  login: ActiveLogin,
  target: NodeTarget,
  options: NodeDialOptions,
): Promise<SshClient> {
  const identity = await identityFor(proxy, login, target, options.batch ?? false)
  const { trace, signal, keepAlive, onAgent, onBanner, onForwardedTcpip, onForwardedStreamlocal, onX11 } = options
  const channel = await proxy.openDirectTcpip(target.host, target.port).catch((error: unknown) => {
    throw explainRefusal(error, target)
  })
  trace?.(`channel to ${target.host}`)
  let verified = false
  const client = await connectSsh({
    stream: channel,
    user: target.login,
    ident,
    verifyHost: (presented) => {
      checkNodeHost(presented, hostCheck(login), target.host)
      verified = true
      trace?.('key exchange with the node, its host certificate verified')
    },
    identities: [identity],
    limits: { loginGraceMs: options.timeoutMs ?? defaultTimeoutMs },
    ...(signal === undefined ? {} : { signal }),
    ...(keepAlive === undefined ? {} : { keepAlive }),
    ...(onAgent === undefined ? {} : { onAgent }),
    ...(onBanner === undefined ? {} : { onBanner }),
    ...(onX11 === undefined ? {} : { onX11 }),
    ...(onForwardedTcpip === undefined ? {} : { onForwardedTcpip }),
    ...(onForwardedStreamlocal === undefined ? {} : { onForwardedStreamlocal }),
  }).catch(async (error: unknown) => {
    if (!verified && isConnectionProblem(error)) {
      throw new ConnectionProblem(`cannot connect to ${target.login}@${target.host}: ${error.message}`, {
        cause: error,
      })
    }
    if (!verified || !isAccessDenied(error)) throw error
    const { user } = login.profile
    if (error.message.includes(sessionMfaRefusal)) throw error
    const plain = `access denied: user ${quote(user)} may not log in as ${quote(target.login)} on node ${quote(target.host)}`
    // A node may hear before the proxy that an authority is trusted no more, and tells strangers nothing.
    throw toldRefusal(error) ?? (await explainRefusedLogin(login, new AccessDenied(plain, { cause: error })))
  })
  trace?.(`logged in to the node as ${target.login}`)
  return client
}

/**
 * A server that knows us tells, as it ends the connection, why it does not let us in, in a sentence that stands for itself. Other servers
 * say nothing of the kind.
 */
function toldRefusal(error: unknown): AccessDenied | undefined {
  if (!isAccessDenied(error)) return undefined
  const { cause } = error
  if (!(cause instanceof PeerDisconnected) || !/^(access denied: |there is no account)/.test(cause.text))
    return undefined
  return new AccessDenied(cause.text, { cause: error })
}

/** The login's own certificate, or one that proves a second factor, where the node may ask for it. */
async function identityFor(proxy: SshClient, login: ActiveLogin, target: NodeTarget, batch: boolean) {
  if (!login.certificate.extensions.has(sessionMfaHint)) return { signer: login.key, certificate: login.certificate }
  const { sessionLogin } = await import('./mfa/session-login.ts')
  const { key, certificate } = await fromApart(sessionLogin(proxy, login, target, batch))
  return { signer: key, certificate }
}

/** The proxy's words about a refused channel, as an error of ours. */
function explainRefusal(error: unknown, target: NodeTarget): unknown {
  if (!(error instanceof ChannelOpenError)) return error
  if (error.message.startsWith('access denied')) return new AccessDenied(error.message, { cause: error })
  // The proxy's own words: the same for a node that does not exist and for one that the user may not know of.
  if (error.message.endsWith('is not found')) return new NotFound(error.message, { cause: error })
  return new ConnectionProblem(`cannot connect to ${target.login}@${target.host}: ${error.message}`, { cause: error })
}
