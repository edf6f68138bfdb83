/**
 * The proxy's SSH port: user certificates in, streams to registered servers out. Nothing is ever executed here, and the bytes that
 * pass are ciphertext between the client and its target.
 */

import type { Socket } from 'node:net'
import type { Subject } from '../../access/decide.ts'
import { sessionOptions } from '../../access/session-options.ts'
import { authenticateUser, type UserIdentity, type UserVerdict } from '../../api/authenticate-user.ts'
import type { ClusterState } from '../../api/cluster-state.ts'
import type { Logger } from '../../common/log.ts'
import { Penalties } from '../../common/penalties.ts'
import { AccessDenied, isConnectionProblem, isNotFound, KindError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { Certificate } from '../../ssh/certificate/types.ts'
import { ChannelOpenError, type ServerSession } from '../../ssh/connection/types.ts'
import { spliceStreams } from '../../ssh/forward/splice.ts'
import { createSshServer } from '../../ssh/server.ts'
import type {
  AuthDecision,
  AuthRequest,
  DirectTcpip,
  PeerAddress,
  PendingConnection,
  ServerConnection,
  SshServer,
} from '../../ssh/server-types.ts'
import type { AlgorithmPreferences, Limits } from '../../ssh/transport/types.ts'
import { atExpiry, type ClientLimits, Clients } from './clients.ts'
import { type Destination, destination, parseSubsystem } from './destination.ts'
import { lastWordsMs, openTarget, type TargetOptions } from './targets.ts'

/** What must be written down of what happens here. */
export interface ProxyAudit {
  authFailed(event: {
    readonly user: string
    readonly login: string
    readonly peer: PeerAddress
    readonly local: PeerAddress
    readonly reason: string
  }): void
  /** Something other than reaching a server, or a server that may not be reached. */
  refused(event: {
    readonly what: 'exec' | 'subsystem' | 'port'
    readonly detail: string
    readonly user: string
    readonly login: string
    readonly peer: PeerAddress
    readonly local: PeerAddress
    readonly reason: string
    readonly connectionId: string
  }): void
  /** A connection that was good and is no more. */
  disconnected(event: {
    readonly user: string
    readonly login: string
    readonly peer: PeerAddress
    readonly local: PeerAddress
    readonly reason: string
  }): void
}

export interface SshSideOptions extends TargetOptions {
  readonly state: TargetOptions['state'] & ClusterState
  readonly audit: ProxyAudit
  readonly clientLimits: ClientLimits
  /** Counts together with others; absent: by itself. */
  readonly clients?: Clients
  readonly limits?: Partial<Limits>
  readonly algorithms?: Partial<AlgorithmPreferences>
  readonly serverVersion: string
  readonly logger: Logger
}

interface Client extends UserIdentity {
  readonly subject: Subject
}

type Connection = ServerConnection<Client>

const noShell =
  'this is a proxy: nothing runs here. Reach a server through it with: ssh -J PROXY:PORT LOGIN@NODE, or tsh ssh LOGIN@NODE'

export function createSshSide(options: SshSideOptions): SshServer {
  const { state, env, logger, audit } = options
  const clients = options.clients ?? new Clients(options.clientLimits)
  const penalties = new Penalties(env)
  const leave = new WeakMap<Connection, () => void>()
  const unguard = new WeakMap<Connection, () => void>()
  // A client shows all it has and leaves: why its certificate was refused says more than that its plain key was refused too.
  const refusedCertificates = new WeakMap<PendingConnection, { readonly user: string; readonly reason: string }>()

  return createSshServer<Client>(
    {
      ident: `Teleport_${options.serverVersion}`,
      hostIdentities() {
        const { key, certificate } = options.identity()
        return [{ signer: key, certificate }]
      },
      authMethods: ['publickey'],
      authenticate: async (request, connection) => {
        if (penalties.isRefused(connection.peer.address)) {
          const reason = 'too many failed logins from this address; try again in a minute'
          return { allow: false, reason, disconnect: reason }
        }
        const decision = authenticate(options, request, connection)
        if (!decision.allow && request.method === 'publickey' && request.certificate !== undefined) {
          refusedCertificates.set(connection, { user: request.certificate.keyId, reason: decision.reason })
        }
        return decision
      },
      authFailed(request, reason, connection) {
        // Somebody who left without trying (a port scan, a health check) is no failed login.
        if (request === undefined) {
          logger.debug('a connection ended before login', { client: connection.peer.address, reason })
          return
        }
        if (!penalties.failed(connection.peer.address)) return
        audit.authFailed({
          user: '',
          login: request.user,
          peer: connection.peer,
          local: connection.localAddress,
          reason,
          ...refusedCertificates.get(connection),
        })
      },
      keepAlive: { intervalMs: state.config.keepAliveInterval * 1000, maxMissed: state.config.keepAliveCountMax },
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.algorithms === undefined ? {} : { algorithms: options.algorithms }),
      logger,
      connected(connection) {
        const { user, sessionExpires } = connection.identity
        leave.set(connection, clients.enter(user))
        unguard.set(
          connection,
          options.guard.add({
            user,
            judge() {
              const verdict = judge(options, connection.identity.certificate, connection, true)
              return verdict.ok ? undefined : verdict.reason
            },
            end: (reason) => void endSoon(options, connection, reason),
          }),
        )
        logger.debug('a user connected', { user, client: connection.peer.address })
        void atExpiry(sessionExpires, env, connection.signal, () => {
          const roles = connection.identity.roles.map((role) => state.role(role.metadata.name) ?? role)
          if (!sessionOptions(roles, state.config).disconnectExpiredCert) return
          connection.disconnect('your certificate has expired; run tsh login')
        })
      },
      closed(connection, error) {
        leave.get(connection)?.()
        unguard.get(connection)?.()
        logger.debug('a user disconnected', {
          user: connection.identity.user,
          ...(error === undefined ? {} : { error: messageOf(error) }),
        })
      },
      // A terminal may be asked for, so that `ssh proxy` shows our message and not a complaint about it; none is made.
      allowSessionRequest: (request) => request === 'pty',
      session: (session, connection) => serveSession(options, session, connection),
      directTcpip: (request, connection) => forward(options, request, connection),
    },
    env,
  )
}

function authenticate(
  options: SshSideOptions,
  request: AuthRequest,
  connection: PendingConnection,
): AuthDecision<Client> {
  if (request.method !== 'publickey') return { allow: false, reason: `method ${request.method} is not offered` }
  if (request.certificate === undefined) {
    return { allow: false, reason: 'a plain key was shown; only certificates of this cluster are taken' }
  }
  const verdict = judge(options, request.certificate, connection)
  if (!verdict.ok) {
    const { reason, locked } = verdict
    if (!locked) return { allow: false, reason }
    // A lock is for its owner to know, who is who has proven the key; another try cannot help.
    return request.signed ? { allow: false, reason, disconnect: `access denied: ${reason}` } : goOnAndSign
  }
  const { identity, noTouchRequired, verifyRequired } = verdict
  const subject: Subject = { roles: identity.roles, traits: identity.traits }
  return { allow: true, identity: { ...identity, subject }, noTouchRequired, verifyRequired }
}

const judge = (
  options: SshSideOptions,
  certificate: Certificate,
  { peer }: PendingConnection,
  isOpen = false,
): UserVerdict =>
  authenticateUser(options.state, {
    certificate,
    // The outer user name is not an OS login: the target judges that.
    login: undefined,
    sourceAddress: peer.address,
    now: options.env.now(),
    isOpen,
  })

/** The engine takes an identity only from the answer to a signed request. Should this one ever be looked at, it throws. */
const goOnAndSign: AuthDecision<Client> = {
  allow: true,
  get identity(): never {
    throw new AccessDenied('nobody is logged in')
  },
}

/** The roles as they are now: a connection may be older than what was taken away. */
async function reach(options: SshSideOptions, connection: Connection, asked: Destination): Promise<Socket> {
  const verdict = judge(options, connection.identity.certificate, connection)
  if (!verdict.ok) throw new AccessDenied(`access denied: ${verdict.reason}`)
  const { user, roles, traits } = verdict.identity
  return openTarget(
    options,
    { user, subject: { roles, traits }, peer: connection.peer, signal: connection.signal },
    asked,
  )
}

function serveSession(options: SshSideOptions, session: ServerSession, connection: Connection): void {
  const { request } = session
  const detail = request.kind === 'exec' ? request.command : request.kind === 'subsystem' ? request.name : ''
  const refuse = async (reason: string, refusedBy: 'policy' | 'target') => {
    if (refusedBy === 'policy') {
      const what = request.kind === 'subsystem' ? 'subsystem' : 'exec'
      options.audit.refused({ what, detail, reason, login: connection.user, ...whoOf(connection) })
    }
    session.accept()
    session.channel.resume()
    session.stderr.write(`teleport: ${reason}\r\n`)
    await session.exit({ kind: 'exit', status: 255 })
  }
  const serve = async () => {
    if (request.kind !== 'subsystem') return refuse(noShell, 'policy')
    let target: Socket
    try {
      const asked = parseSubsystem(request.name)
      if (asked === undefined) return await refuse(`${noShell} (no subsystem "${request.name}")`, 'policy')
      target = await reach(options, connection, asked)
    } catch (error) {
      return refuse(reasonOf(error, options.logger), isConnectionProblem(error) ? 'target' : 'policy')
    }
    session.accept()
    await spliceStreams(session.channel, target, { leaveOpen: session.channel })
    await session.exit({ kind: 'exit', status: 0 })
  }
  serve().catch((error: unknown) => {
    options.logger.debug('a session on the proxy failed', { error: messageOf(error) })
    session.channel.destroy()
  })
}

async function forward(options: SshSideOptions, request: DirectTcpip, connection: Connection): Promise<Socket> {
  try {
    return await reach(options, connection, destination(request.host, request.port))
  } catch (error) {
    const reason = reasonOf(error, options.logger)
    if (isConnectionProblem(error)) throw new ChannelOpenError('connect-failed', reason)
    const detail = `${request.host}:${request.port}`
    options.audit.refused({ what: 'port', detail, reason, login: connection.user, ...whoOf(connection) })
    throw new ChannelOpenError(
      isNotFound(error) || error instanceof KindError ? 'prohibited' : 'connect-failed',
      reason,
    )
  }
}

/** Nodes say why they end what is open, through the connection that is about to end too. Nothing new is reached through it meanwhile: that is judged each time. */
async function endSoon(options: SshSideOptions, connection: Connection, reason: string): Promise<void> {
  try {
    await options.env.sleep(lastWordsMs, connection.signal)
  } catch {
    return
  }
  options.audit.disconnected({ login: connection.user, reason, ...whoOf(connection) })
  connection.disconnect(reason)
}

const whoOf = (connection: Connection) => ({
  connectionId: connection.id,
  user: connection.identity.user,
  peer: connection.peer,
  local: connection.localAddress,
})

/** What we meant to say is said; a bug is logged and says nothing. */
function reasonOf(error: unknown, logger: Logger): string {
  if (error instanceof KindError) return error.message
  logger.error('reaching a target failed', { error: messageOf(error) })
  return 'internal error; see the log of the proxy'
}
