/**
 * Coming to a session that is there already. `join:SID[:MODE]` and `control:SID:ACTION` are all that a connection for joiners can
 * ask for; `attach:SID` brings the owner back, who is logged in as for any session.
 */

import { joinModes } from '../../access/join.ts'
import type { SessionMode } from '../../access/types.ts'
import { RateLimiter } from '../../common/limiter.ts'
import { AccessDenied, BadParameter, KindError, NotFound } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { ServerSession } from '../../ssh/connection/types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import { connectionFields, record } from '../node-events.ts'
import type { JoinableSession } from './sessions.ts'

type Action = 'pause' | 'resume' | 'end'
export type SessionAsk =
  | { readonly kind: 'join'; readonly sid: string; readonly mode: SessionMode | undefined }
  | { readonly kind: 'control'; readonly sid: string; readonly action: Action }
  | { readonly kind: 'attach'; readonly sid: string }

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const shapes = {
  join: new RegExp(`^join:(?<sid>${uuid})(?::(?<mode>peer|observer|moderator))?$`),
  control: new RegExp(`^control:(?<sid>${uuid}):(?<action>pause|resume|end)$`),
  attach: new RegExp(`^attach:(?<sid>${uuid})$`),
}

/** What a subsystem's name asks for; undefined for anything else. */
export function parseAsk(name: string): SessionAsk | undefined {
  const join = shapes.join.exec(name)?.groups
  if (join?.sid !== undefined) return { kind: 'join', sid: join.sid, mode: join.mode as SessionMode | undefined }
  const control = shapes.control.exec(name)?.groups
  if (control?.sid !== undefined) return { kind: 'control', sid: control.sid, action: control.action as Action }
  const attach = shapes.attach.exec(name)?.groups
  return attach?.sid === undefined ? undefined : { kind: 'attach', sid: attach.sid }
}

const onlyJoining = 'this connection can only join sessions: join:SID, join:SID:MODE or control:SID:pause|resume|end'

/** Serves a channel of a connection for joiners; never throws. */
export function serveJoiner(session: ServerSession, connection: NodeConnection, node: NodeContext): void {
  const { request } = session
  const ask = request.kind === 'subsystem' ? parseAsk(request.name) : undefined
  const serve = async (): Promise<void> => {
    if (ask === undefined || ask.kind === 'attach') throw new AccessDenied(onlyJoining)
    const { identity } = node.recheckJoiner(connection)
    const live = node.sessions.get(ask.sid)?.live
    const modes = live === undefined ? [] : joinModes({ user: identity.user, roles: identity.roles }, live.owner)
    // A session that is not there and one that may not be joined give the same answer, so that nobody can probe.
    if (live === undefined || modes.length === 0) throw new NotFound(`there is no session ${ask.sid} that you may join`)
    if (ask.kind === 'join') await live.join(session, connection, chooseMode(ask.mode, modes))
    else await control(session, connection, live, ask.action, modes)
  }
  serve().catch((error: unknown) => refuse(session, connection, node, error))
}

function chooseMode(asked: SessionMode | undefined, modes: readonly SessionMode[]): SessionMode {
  const [first = 'observer'] = modes
  const mode = asked ?? first
  if (modes.includes(mode)) return mode
  throw new AccessDenied(`your roles let you join this session as ${modes.join(' or ')}, not as ${mode}`)
}

async function control(
  session: ServerSession,
  connection: NodeConnection,
  live: JoinableSession,
  action: Action,
  modes: readonly SessionMode[],
): Promise<void> {
  if (!modes.includes('moderator')) throw new AccessDenied(`only a moderator may ${action} a session`)
  session.accept()
  session.channel.resume()
  await live.control(action, connection)
  await session.exit({ kind: 'exit', status: 0 })
}

/** The owner goes on with a session, after a lost connection or on another machine; never throws. */
export function serveOwner(session: ServerSession, connection: NodeConnection, node: NodeContext, sid: string): void {
  const serve = async (): Promise<void> => {
    const { identity } = await node.recheck(connection)
    const live = node.sessions.get(sid)?.live
    if (live === undefined || live.user !== identity.user || live.login !== connection.user) {
      throw new NotFound(`you have no session ${sid} as ${connection.user} here`)
    }
    if (node.state.config.sessionDetachTimeout === 0) {
      throw new AccessDenied('sessions of this cluster end with their connection (session_detach_timeout is 0)')
    }
    if (session.pty === undefined) throw new BadParameter('pty', 'going on with a session needs a terminal')
    await live.attach(session, connection)
  }
  serve().catch((error: unknown) => refuse(session, connection, node, error))
}

/** Of one user: somebody who guesses ids of sessions for ever is no news. */
const rejectionRate = { burst: 20, perSecond: 0.2 }
const rejections = new WeakMap<NodeContext, RateLimiter>()

function rejectionsOf(node: NodeContext): RateLimiter {
  let limiter = rejections.get(node)
  if (limiter === undefined) {
    limiter = new RateLimiter(rejectionRate, node.env)
    rejections.set(node, limiter)
  }
  return limiter
}

/** As `ssh` for its own errors. */
const refusedStatus = 255

function refuse(session: ServerSession, connection: NodeConnection, node: NodeContext, error: unknown): void {
  const known = error instanceof KindError
  if (!known) node.logger.error('joining a session failed', { reason: messageOf(error) })
  const reason = known ? error.message : 'the node could not do it; its log says why'
  if (rejectionsOf(node).take(connection.identity.identity.user)) {
    record(node, { event: 'session.rejected', ...connectionFields(node, connection), reason })
  }
  session.accept()
  session.channel.resume()
  session.stderr.write(`ERROR: ${reason}\r\n`)
  session.exit({ kind: 'exit', status: refusedStatus }).catch(() => {})
}
