/** The SSH server of a node: who may log in, and which handler serves what they ask for. */

import type { AccessGuard } from '../api/access-guard.ts'
import type { MachineIdentity } from '../api/identity.ts'
import { preambleVerifier } from '../api/preamble.ts'
import { joinLogin } from '../api/session-model.ts'
import { Penalties } from '../common/penalties.ts'
import { AccessDenied } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { createSshServer } from '../ssh/server.ts'
import type { AuthDecision, AuthRequest, PendingConnection, SshServer } from '../ssh/server-types.ts'
import type { AlgorithmPreferences, Limits } from '../ssh/transport/types.ts'
import {
  type AuthorizeContext,
  authorize,
  authorizeJoiner,
  CertificateRefused,
  LoginRefused,
  whyNoMore,
} from './authorize.ts'
import { type ConnectionLimits, Connections } from './connections.ts'
import type { NodeConnection, NodeContext } from './context.ts'
import { atExpiry } from './expiry.ts'
import { dialTcp, dialUnix } from './forward/direct.ts'
import { RemoteForwards } from './forward/remote.ts'
import { recordX11Refusal } from './forward/x11.ts'
import { ConnectionLeases, type LeaseApi } from './limits/leases.ts'
import { Rejections } from './limits/rejections.ts'
import { optionsNow } from './limits/role-limits.ts'
import { admitSession } from './limits/sessions.ts'
import { connectionFields, formatAddress, record, serverFields } from './node-events.ts'
import type { ConnectedUser } from './node-user.ts'
import { serveSession } from './session/session.ts'
import type { ActiveSession } from './session/sessions.ts'

export interface NodeServerOptions {
  readonly context: NodeContext
  /** Read for each connection: a renewed certificate is used at once. */
  identity(): MachineIdentity
  readonly version: string
  readonly connectionLimits: ConnectionLimits
  readonly leases: LeaseApi
  /** Ends what the cluster does not allow any more. */
  readonly guard: AccessGuard
  readonly limits?: Partial<Limits>
  readonly algorithms?: Partial<AlgorithmPreferences>
}

const expiredMessage = 'your certificate has expired; run: tsh login'

export function createNodeServer(options: NodeServerOptions): SshServer {
  const { context } = options
  const { env, state, logger } = context
  const connections = new Connections(options.connectionLimits)
  const penalties = new Penalties(env)
  const forwards = new RemoteForwards(context)
  const rejections = new Rejections(context)
  const leases = new ConnectionLeases(context, options.leases, rejections)
  const leave = new WeakMap<NodeConnection, () => void>()
  const unguard = new WeakMap<NodeConnection, () => void>()
  const refusals: CertificateRefusals = new WeakMap()
  const refusedX11 = new WeakSet<NodeConnection>()

  return createSshServer<ConnectedUser>(
    {
      // OpenSSH's client tells that its own output is gone (`ssh node yes | head`), and that it will open no more sessions, only
      // to servers whose version begins with OpenSSH: with another one the command would write for ever.
      ident: `OpenSSH_compatible_Teleport_${options.version}`,
      hostIdentities() {
        const { key, certificate } = options.identity()
        return [{ signer: key, certificate }]
      },
      authMethods: ['publickey'],
      authenticate: (request, pending) => authenticate(context, penalties, refusals, request, pending),
      authFailed(request, reason, pending) {
        // Somebody who left without trying (a port scan, a health check) is no failed login.
        if (request === undefined) {
          logger.debug('a connection ended before login', { client: pending.peer.address, reason })
          return
        }
        const isWorthARecord = penalties.failed(pending.peer.address)
        const certificate = request.method === 'publickey' ? request.certificate : undefined
        // OpenSSH shows the plain key after a refused certificate. What is worth knowing is why the certificate was refused.
        const refusal = certificate === undefined ? refusals.get(pending) : undefined
        const error = refusal?.message ?? reason
        if (!isWorthARecord) return
        logger.info('login refused', { client: pending.peer.address, login: request.user, reason: error })
        record(context, {
          event: 'auth',
          ...serverFields(context),
          user: refusal?.user ?? certificate?.keyId ?? '',
          login: request.user,
          'addr.local': formatAddress(pending.localAddress),
          'addr.remote': formatAddress(pending.peer),
          success: false,
          error,
        })
      },
      preamble: preambleVerifier({ target: context.uuid, state, env, logger: context.logger }),
      keepAlive: { intervalMs: state.config.keepAliveInterval * 1000, maxMissed: state.config.keepAliveCountMax },
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.algorithms === undefined ? {} : { algorithms: options.algorithms }),
      logger,
      connected(connection) {
        const { user, sessionExpires } = connection.identity.identity
        leave.set(connection, connections.enter(user))
        const admitted = leases.enter(connection)
        unguard.set(
          connection,
          options.guard.add({
            user,
            judge: () => judge(context, connection),
            end: (reason) => endConnection(context, connection, reason),
          }),
        )
        logger.debug('a user connected', { user, login: connection.user, client: connection.peer.address })
        void atExpiry(sessionExpires, env, connection.signal, () => {
          if (optionsNow(context, connection).disconnectExpiredCert) endConnection(context, connection, expiredMessage)
        })
        return admitted
      },
      closed(connection, error) {
        leave.get(connection)?.()
        unguard.get(connection)?.()
        for (const session of context.sessions.of(connection)) guardDetached(context, options.guard, session)
        leases.leave(connection)
        forwards.closeAll(connection)
        logger.debug('a user disconnected', {
          user: connection.identity.identity.user,
          ...(error === undefined ? {} : { error: messageOf(error) }),
        })
      },
      allowSessionRequest(request, connection) {
        const { permissions } = connection.identity
        switch (request) {
          case 'pty':
            return permissions.pty
          case 'agent':
            return permissions.agentForwarding
          case 'x11':
            if (context.x11.enabled && permissions.x11Forwarding) return true
            // Once: a client that asks again and again is no news.
            if (!refusedX11.has(connection)) recordX11Refusal(connection, context)
            refusedX11.add(connection)
            return false
        }
      },
      admitSession: (open, connection) => admitSession(open, connection, context, rejections),
      session: (session, connection) => serveSession(session, connection, context),
      directTcpip: (request, connection) => dialTcp(request, connection, context),
      directStreamlocal: (path, connection) => dialUnix(path, connection, context),
      tcpipForward: (address, port, connection) => forwards.listenTcp(address, port, connection),
      cancelTcpipForward: (address, port, connection) => forwards.cancelTcp(address, port, connection),
      streamlocalForward: (path, connection) => forwards.listenUnix(path, connection),
      cancelStreamlocalForward: (path, connection) => forwards.cancelUnix(path, connection),
    },
    env,
  )
}

type CertificateRefusals = WeakMap<PendingConnection, CertificateRefused>

async function authenticate(
  context: AuthorizeContext,
  penalties: Penalties,
  refusals: CertificateRefusals,
  request: AuthRequest,
  pending: PendingConnection,
): Promise<AuthDecision<ConnectedUser>> {
  if (request.method !== 'publickey') return { allow: false, reason: `the method ${request.method} is not offered` }
  if (request.certificate === undefined) {
    return { allow: false, reason: 'a plain key was shown; only certificates of this cluster are taken' }
  }
  if (penalties.isRefused(pending.peer.address)) {
    const message = 'too many failed logins from this address; try again in a minute'
    return { allow: false, reason: message, disconnect: message }
  }
  try {
    const attempt = { certificate: request.certificate, sourceAddress: pending.peer.address }
    const identity =
      request.user === joinLogin
        ? authorizeJoiner(context, attempt)
        : await authorize(context, { ...attempt, login: request.user, proven: request.signed })
    const { noTouchRequired, verifyRequired } = identity
    return { allow: true, identity, noTouchRequired, verifyRequired }
  } catch (error) {
    if (error instanceof CertificateRefused) {
      refusals.set(pending, error)
      return { allow: false, reason: error.message }
    }
    if (error instanceof LoginRefused) return refuseLogin(error, request.signed)
    throw error
  }
}

/** The reason is for whoever has the key, so it waits for the proof. The connection ends with it: another try cannot help. */
function refuseLogin(error: LoginRefused, signed: boolean): AuthDecision<ConnectedUser> {
  if (signed) return { allow: false, reason: error.message, disconnect: error.message }
  // "Go on and sign": the engine takes an identity only from the answer to a signed request.
  return { allow: true, identity: nobody }
}

/** Grants nothing, should it ever be looked at: reading any part of it throws. */
const nobody: ConnectedUser = {
  get identity(): never {
    throw new AccessDenied('nobody is logged in')
  },
  permissions: { pty: false, portForwarding: false, agentForwarding: false, x11Forwarding: false },
  noTouchRequired: false,
  verifyRequired: true,
}

function judge(context: NodeContext, connection: NodeConnection): string | undefined {
  const { certificate } = connection.identity.identity
  const login = connection.user === joinLogin ? undefined : connection.user
  return whyNoMore(context, { certificate, login, sourceAddress: connection.peer.address })
}

/** A session that goes on without its connection, until its owner is back or it ends. */
function guardDetached(context: NodeContext, guard: AccessGuard, session: ActiveSession): void {
  const { connection } = session
  const unguard = guard.add({
    user: session.user,
    judge: () => judge(context, connection),
    end(reason) {
      record(context, { event: 'client.disconnect', ...connectionFields(context, connection), sid: session.id, reason })
      session.terminate(reason)
    },
  })
  const stopLooking = context.sessions.onChange(() => {
    if (context.sessions.get(session.id) === session && session.connection === connection) return
    unguard()
    stopLooking()
  })
}

/** Tells each open session why, then ends the connection with everything on it: sessions, forwards, listeners. */
function endConnection(context: NodeContext, connection: NodeConnection, reason: string): void {
  record(context, { event: 'client.disconnect', ...connectionFields(context, connection), reason })
  for (const session of context.sessions.list()) session.connectionEnds(connection, reason)
  connection.disconnect(reason)
}
