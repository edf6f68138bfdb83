/** Port 3025: who may connect, and the API inside. Nothing but channels to `auth.teleport.api` is opened here. */

import { duplexPair } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { AccessGuard } from '../api/access-guard.ts'
import { authApiHost, sshIdent } from '../api/auth-channel.ts'
import { authenticateUser } from '../api/authenticate-user.ts'
import type { Caller } from '../api/caller.ts'
import type { BuiltinRole } from '../api/endpoint.ts'
import { verifyMachine } from '../api/host-certificate.ts'
import type { MachineIdentity } from '../api/identity.ts'
import { preambleVerifier } from '../api/preamble.ts'
import { serveStream } from '../api/serve.ts'
import { webAgentHost } from '../api/web-session-routes.ts'
import { formatAddress } from '../common/address.ts'
import type { Env } from '../common/env.ts'
import { RateLimiter } from '../common/limiter.ts'
import type { Logger } from '../common/log.ts'
import { AccessDenied } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { ChannelOpenError } from '../ssh/connection/types.ts'
import { fingerprintSha256 } from '../ssh/keys/public-key.ts'
import { createSshServer } from '../ssh/server.ts'
import type { AuthDecision, AuthRequest, PendingConnection, ServerConnection, SshServer } from '../ssh/server-types.ts'
import type { Limits } from '../ssh/transport/types.ts'
import type { Services } from './services.ts'

/** Who is connected, asked anew for each request: a user or role that was removed is out with the next one. */
type Identify = () => Caller

/** What the API is told about the connections below it. */
export class Callers {
  readonly #bySocket = new WeakMap<object, Identify>()

  set(socket: object, identify: Identify): void {
    this.#bySocket.set(socket, identify)
  }

  /** Throws AccessDenied when the identity is not good any more. */
  readonly of = (socket: object): Caller | undefined => this.#bySocket.get(socket)?.()
}

export interface FrontOptions {
  readonly services: Services
  readonly app: FastifyInstance
  readonly callers: Callers
  /** What a client that says it has this version is shown. */
  identity(clientVersion: string): MachineIdentity
  readonly env: Env
  readonly logger: Logger
  readonly limits?: Partial<Limits>
}

/** Milliseconds between the end of somebody's access and the end of their connection. */
const lastAnswerMs = 500

export function createSshFront(options: FrontOptions): SshServer {
  const guard = new AccessGuard({
    onChange: (listener) => options.services.hub.onChange(({ kind, id }) => listener(kind, id)),
    staleMs: () => 0,
    env: options.env,
    logger: options.logger,
    signal: options.services.hub.closing,
  })
  const unguard = new WeakMap<ServerConnection<Identify>, () => void>()
  const { services, app, callers, env, logger } = options
  const { hub } = services
  const refusals = new RateLimiter(auditedRefusals, env)
  return createSshServer<Identify>(
    {
      ident: sshIdent,
      hostIdentities: (clientVersion) => {
        const { key, certificate } = options.identity(clientVersion)
        return [{ signer: key, certificate }]
      },
      authMethods: ['publickey', 'password'],
      authenticate: (request, connection) => authenticate(options, request, connection),
      authFailed: (request, reason, connection) => {
        logger.warn('login refused', { user: request?.user, address: connection.peer.address, reason })
        if (request !== undefined && refusals.take('')) void auditRefusal(options, request, reason, connection)
      },
      directTcpip: async ({ host, port }, connection) => {
        if (host === webAgentHost && port === 0 && connection.identity().role === 'Proxy') {
          const [near, far] = duplexPair()
          void services.webSessions.serveAgent(far)
          return near
        }
        if (host !== authApiHost || port !== 0) {
          throw new ChannelOpenError('prohibited', `an auth server connects to nothing but ${authApiHost}:0`)
        }
        const [near, far] = duplexPair()
        callers.set(far, connection.identity)
        serveStream(app, far)
        return near
      },
      connected(connection) {
        const { name, role } = connection.identity()
        // A token is looked at when it is used, and for nothing else.
        if (role === 'ProvisionToken') return
        unguard.set(
          connection,
          guard.add({
            user: name,
            judge: () => refusalOf(connection.identity),
            end(reason) {
              void auditDisconnect(options, name, reason, connection)
              // The change that ends it may be its own, and then it still gets the answer. Until then each request is refused.
              void env.sleep(lastAnswerMs, connection.signal).then(
                () => connection.disconnect(reason),
                () => undefined,
              )
            },
          }),
        )
      },
      closed: (connection) => unguard.get(connection)?.(),
      preamble: preambleVerifier({ target: 'auth', state: hub, env, logger }),
      keepAlive,
      logger,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    },
    env,
  )
}

function refusalOf(identify: Identify): string | undefined {
  try {
    identify()
    return undefined
  } catch (error) {
    if (error instanceof AccessDenied) return error.message
    throw error
  }
}

async function auditDisconnect(
  { services, logger }: FrontOptions,
  user: string,
  reason: string,
  { peer }: PendingConnection,
): Promise<void> {
  try {
    const { address, port } = peer
    const remote = formatAddress({ host: address, port })
    await services.audit.emit({ event: 'client.disconnect', user, reason, 'addr.remote': remote })
  } catch (error) {
    logger.error('the end of a connection could not be audited', { reason: messageOf(error) })
  }
}

/**
 * Machines say something every minute, and look after the connection themselves (`authKeepAlive`). To ask thousands of them more often
 * costs more than their heartbeats do.
 */
const keepAlive = { intervalMs: 75_000, maxMissed: 2 }

/** Strangers must not be able to fill the audit log: a hundred refusals at once, then five a second, are in it. */
const auditedRefusals = { burst: 100, perSecond: 5 }

async function auditRefusal(
  { services, logger }: FrontOptions,
  request: AuthRequest,
  reason: string,
  { peer }: PendingConnection,
): Promise<void> {
  try {
    const { address, port } = peer
    await services.audit.emit({
      event: 'auth',
      user: request.user,
      success: false,
      error: reason,
      'addr.remote': formatAddress({ host: address, port }),
    })
  } catch (error) {
    logger.error('a refused login could not be audited', { reason: messageOf(error) })
  }
}

async function authenticate(
  options: FrontOptions,
  request: AuthRequest,
  connection: PendingConnection,
): Promise<AuthDecision<Identify>> {
  const { address } = connection.peer
  switch (request.method) {
    case 'none':
      return { allow: false, reason: 'no proof of identity' }
    case 'password':
      return joining(options, request.user, request.password, address, isSameHost(connection))
    case 'publickey': {
      const { certificate } = request
      if (certificate === undefined) return { allow: false, reason: 'a plain key; only certificates are accepted' }
      return certificate.type === 'host'
        ? machine(options, certificate, request.user, address, isSameHost(connection))
        : user(options, certificate, address, request.signed)
    }
  }
}

async function joining(
  { services }: FrontOptions,
  name: string,
  token: string,
  address: string,
  sameHost: boolean,
): Promise<AuthDecision<Identify>> {
  if (name !== 'join') return { allow: false, reason: 'a password of somebody who does not join' }
  if (!(await services.tokens.check(token, address))) return { allow: false, reason: 'a wrong or expired join token' }
  const caller: Caller = { role: 'ProvisionToken', name: 'join', address, token, sameHost }
  return { allow: true, identity: () => caller }
}

/** From this very machine, and not on behalf of somebody else. */
function isSameHost({ peer, socketPeer, localAddress }: PendingConnection): boolean {
  if (peer.address !== socketPeer.address) return false
  return peer.address === localAddress.address || /^(127\.|::1$|::ffff:127\.)/.test(peer.address)
}

const machineRoles: readonly BuiltinRole[] = ['Auth', 'Proxy', 'Node', 'Admin']

function machine(
  { services, env }: FrontOptions,
  certificate: Certificate,
  name: string,
  address: string,
  sameHost: boolean,
): AuthDecision<Identify> {
  const { hub } = services
  const judge = () => {
    const { hostAuthorities, clusterName } = hub
    return verifyMachine(certificate, { hostAuthorities, clusterName, roles: machineRoles, now: env.now() })
  }
  const first = judge()
  if (!first.ok) return { allow: false, reason: first.reason }
  if (name !== first.uuid)
    return { allow: false, reason: `the certificate of ${first.uuid} used as ${JSON.stringify(name)}` }
  const certifiedBy = fingerprintSha256(certificate.signatureKey)
  const identify = (): Caller => {
    const verdict = judge()
    if (!verdict.ok) throw new AccessDenied(`access denied: ${verdict.reason}`)
    const role = machineRoles.find((known) => known === verdict.role)
    if (role === undefined) throw new AccessDenied(`access denied: unknown role ${verdict.role}`)
    return {
      role,
      name: role === 'Admin' ? 'admin' : verdict.uuid,
      address,
      names: certificate.principals,
      certifiedBy,
      sameHost,
    }
  }
  return { allow: true, identity: identify }
}

const nobody = (reason: string): never => {
  throw new AccessDenied(`access denied: ${reason}`)
}

function user(
  { services, env }: FrontOptions,
  certificate: Certificate,
  address: string,
  signed: boolean,
): AuthDecision<Identify> {
  const { hub } = services
  const judge = () => authenticateUser(hub, { certificate, login: undefined, sourceAddress: address, now: env.now() })
  const first = judge()
  if (!first.ok) {
    const { reason, locked } = first
    if (!locked) return { allow: false, reason }
    // A lock is for its owner to know, who is who has proven the key. The identity throws, should it ever be asked.
    return signed
      ? { allow: false, reason, disconnect: `access denied: ${reason}` }
      : { allow: true, identity: () => nobody(reason) }
  }
  const { noTouchRequired, verifyRequired } = first
  const identify = (): Caller => {
    const verdict = judge()
    if (!verdict.ok) throw new AccessDenied(`access denied: ${verdict.reason}`)
    return { role: 'User', name: verdict.identity.user, address, user: verdict.identity }
  }
  return { allow: true, identity: identify, noTouchRequired, verifyRequired }
}
