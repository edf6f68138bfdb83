/** From what a client asked for to a connected stream: find, authorize, dial. The same for the subsystem and for forwarded channels. */

import type { Socket } from 'node:net'
import type { Authorized } from '../../access/authorize.ts'
import { authorizeReach } from '../../access/authorize.ts'
import { canSeeNode, type Subject } from '../../access/decide.ts'
import { canJoinOthers } from '../../access/join.ts'
import type { AccessGuard } from '../../api/access-guard.ts'
import { whyShutOut } from '../../api/authenticate-user.ts'
import type { ClusterCache } from '../../api/cache.ts'
import type { ClusterState } from '../../api/cluster-state.ts'
import { authApiHost } from '../../api/connect.ts'
import type { MachineIdentity } from '../../api/identity.ts'
import type { Presence } from '../../api/model.ts'
import { signPreamble } from '../../api/preamble.ts'
import type { Env } from '../../common/env.ts'
import { AccessDenied, ConnectionProblem, NotFound } from '../../errors/errors.ts'
import type { PeerAddress } from '../../ssh/server-types.ts'
import type { Destination } from './destination.ts'
import { dial } from './dial.ts'
import { type NodeIndex, route } from './router.ts'

export interface TargetOptions {
  readonly state: NodeIndex & Pick<ClusterCache, 'servers'> & Pick<ClusterState, 'locks' | 'staleMs' | 'config'>
  /** Cuts what leads to a node that gets locked. */
  readonly guard: AccessGuard
  identity(): MachineIdentity
  /** `host:port` of the auth servers from the configuration; those that the cluster knows are tried after them. */
  readonly authServers: readonly string[]
  readonly env: Env
  readonly connectTimeoutMs: number
}

/** For whom a stream is opened. */
export interface Asker {
  readonly user: string
  readonly subject: Subject
  /** The true client, told to the target. */
  readonly peer: PeerAddress
  /** Ends the attempt. */
  readonly signal: AbortSignal
}

/**
 * A stream to the node, or to an auth server, that the client asked for. Throws NotFound or AccessDenied with a reason for the
 * client, ConnectionProblem when the target does not answer.
 */
export async function openTarget(options: TargetOptions, asker: Asker, asked: Destination): Promise<Socket> {
  if (asked.host.toLowerCase() === authApiHost) return dialAuth(options, asker)
  const node = findNode(options, asker, asked)
  const locked = whyLocked(options, asker, node.target)
  if (locked !== undefined) throw new AccessDenied(`access denied: ${locked}`)
  const socket = await dialNode(options, asker, node)
  // The node itself ends what is open there; but it may be locked because it obeys somebody else.
  const unguard = options.guard.add({
    user: asker.user,
    judge: () => whyLocked(options, asker, node.target),
    end: () =>
      void options.env.sleep(lastWordsMs, asker.signal).then(
        () => socket.destroy(),
        () => undefined,
      ),
  })
  socket.once('close', unguard)
  return socket
}

/** Milliseconds in which a node says why it ends what is open there. */
export const lastWordsMs = 1_500

function whyLocked({ state, env }: TargetOptions, asker: Asker, node: Presence): string | undefined {
  const { uuid, hostname } = node
  const names = [uuid, hostname, `${hostname}.${state.clusterName}`]
  const { user, subject } = asker
  return whyShutOut(state, { user, roles: subject.roles, login: undefined, node: names, now: env.now() })
}

function findNode(options: TargetOptions, asker: Asker, asked: Destination): Authorized<Presence> {
  const { subject, user } = asker
  // A joiner knows the uuid from the listing of sessions. Names and labels of nodes that the user may not see stay unknown to them.
  const isJoinable = ({ uuid }: Presence): boolean => uuid === asked.host.toLowerCase() && canJoinOthers(subject.roles)
  const found = route(options.state, asked, (node) => canSeeNode(subject, node.labels) || isJoinable(node))
  if (!found.ok) {
    throw found.kind === 'ambiguous' ? new AccessDenied(found.reason) : new NotFound(found.reason)
  }
  const { hostname, labels: nodeLabels } = found.node
  return authorizeReach({ ...subject, user, node: hostname, nodeLabels, byUuid: isJoinable(found.node) }, found.node)
}

async function dialNode(options: TargetOptions, asker: Asker, node: Authorized<Presence>): Promise<Socket> {
  const { uuid, address, hostname } = node.target
  const preamble = await signPreamble(options.identity(), asker.peer, uuid, options.env)
  return dial({
    address,
    name: `node "${hostname}"`,
    preamble,
    timeoutMs: options.connectTimeoutMs,
    signal: asker.signal,
  })
}

/** Whoever has a valid certificate may speak to the auth API; it decides about each request by itself. */
async function dialAuth(options: TargetOptions, asker: Asker): Promise<Socket> {
  const known = options.state.servers('auth').map(({ address }) => address)
  let last: unknown = new ConnectionProblem('no auth server is known')
  for (const address of new Set([...options.authServers, ...known])) {
    try {
      const preamble = await signPreamble(options.identity(), asker.peer, 'auth', options.env)
      return await dial({
        address,
        name: 'the auth server',
        preamble,
        timeoutMs: options.connectTimeoutMs,
        signal: asker.signal,
      })
    } catch (error) {
      last = error
      if (asker.signal.aborted) break
    }
  }
  throw last
}
