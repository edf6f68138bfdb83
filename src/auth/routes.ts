/** What each endpoint does. Who may call it stands in `src/api/routes.ts`; here is only what a user's own limits are. */

import type { FastifyInstance } from 'fastify'
import { canSeeNode } from '../access/decide.ts'
import { checkRule } from '../access/rules.ts'
import type { Caller } from '../api/caller.ts'
import { formatCertificateLine, parseKeyLine } from '../api/lines.ts'
import type { Authority, Presence } from '../api/model.ts'
import * as routes from '../api/routes.ts'
import { PreparedLines, serve } from '../api/serve.ts'
import { version } from '../common/version.ts'
import { AccessDenied, BadParameter } from '../errors/errors.ts'
import { verifyAudit } from './audit-verify.ts'
import { authorityTypes } from './authorities.ts'
import { mountRecordings } from './recording-routes.ts'
import type { Services } from './services.ts'
import { mountSessions } from './session-routes.ts'
import { toRecord } from './users.ts'

/** Mounts every endpoint of the auth API. */
export function mountRoutes(app: FastifyInstance, services: Services): void {
  mountCluster(app, services)
  mountMachines(app, services)
  mountTokens(app, services)
  mountUsers(app, services)
  mountRoles(app, services)
  mountLogins(app, services)
  mountAudit(app, services)
  mountRecordings(app, services)
  mountSessions(app, services)
  mountLeases(app, services)
  mountRotation(app, services)
}

function mountRotation(app: FastifyInstance, { rotation }: Services): void {
  serve(app, routes.rotateAuthorities, ({ caller, body }) => rotation.rotate(caller, body))
  serve(app, routes.getRotation, async () => rotation.report())
}

function statusOf({ type, rotation, rotated }: Authority) {
  return { type, ...(rotation === undefined ? {} : { rotation }), ...(rotated === undefined ? {} : { rotated }) }
}

function mountCluster(app: FastifyInstance, { hub, authorities, audit, env, recordings }: Services): void {
  serve(app, routes.getStatus, async ({ caller }) => ({
    clusterName: hub.clusterName,
    version,
    caPins: [...authorities.caPins],
    authorities: authorityTypes.map((type) => statusOf(authorities.public(type))),
    time: env.now().toISOString(),
    ...(caller.role === 'Admin' ? { audit: await audit.summary(), recordingAlarm: await recordings.alarm() } : {}),
  }))
  serve(app, routes.getConfig, async () => hub.config)
  serve(app, routes.listAuthorities, async () => ({ items: [authorities.public('host'), authorities.public('user')] }))
  serve(app, routes.watch, async function* ({ caller, signal }) {
    for await (const text of hub.follow({ presence: caller.role !== 'Node', signal })) yield new PreparedLines(text)
  })
}

function mountMachines(app: FastifyInstance, { machines, presence, hub, env }: Services): void {
  serve(app, routes.join, ({ caller, body }) => machines.join(caller, body))
  serve(app, routes.renewHost, ({ caller, body }) => machines.renew(caller, body))
  serve(app, routes.heartbeat, async ({ caller, body }) => {
    const expires = await presence.heartbeat(caller, body)
    return { expires: expires.toISOString(), time: env.now().toISOString() }
  })
  serve(app, routes.listPresence, async ({ caller, query }) => {
    const role = caller.role === 'User' ? 'node' : query.role
    const servers = hub.snapshot.servers.list(role, env.now().getTime()).filter((server) => isVisible(caller, server))
    return pageOf(servers, query)
  })
  serve(app, routes.deletePresence, async ({ params }) => {
    await presence.forget(params.role, params.uuid)
    return {}
  })
}

/** A user sees the nodes on which some login is allowed; a node that they may not reach does not exist for them. */
function isVisible({ role, user }: Caller, server: Presence): boolean {
  if (role !== 'User') return true
  return user !== undefined && server.role === 'node' && canSeeNode(user, server.labels)
}

/** Sorted by name, then uuid; the cursor is the last one's place in that order. */
function pageOf(servers: readonly Presence[], query: { limit: number; after?: string | undefined }) {
  const placeOf = (server: Presence) => `${server.hostname.toLowerCase()} ${server.role} ${server.uuid}`
  const placed = servers.map((server) => [placeOf(server), server] as const)
  placed.sort(([a], [b]) => (a < b ? -1 : 1))
  const after = query.after === undefined ? '' : decodeCursor(query.after)
  const rest = placed.filter(([place]) => place > after)
  const page = rest.slice(0, query.limit)
  const last = page.at(-1)
  const items = page.map(([, server]) => server)
  return rest.length > page.length && last !== undefined ? { items, next: encodeCursor(last[0]) } : { items }
}

const encodeCursor = (place: string): string => Buffer.from(place, 'utf8').toString('base64url')

function decodeCursor(cursor: string): string {
  const place = Buffer.from(cursor, 'base64url').toString('utf8')
  if (encodeCursor(place) === cursor) return place
  throw new BadParameter('after', 'the page cursor is not one that this listing returned; start again without it')
}

function mountTokens(app: FastifyInstance, { tokens, invites, authorities, settings }: Services): void {
  serve(app, routes.createToken, async ({ caller, body }) => ({
    token: await tokens.create(caller, body),
    caPins: [...authorities.caPins],
    authServers: [...settings.authServers],
  }))
  serve(app, routes.listTokens, async () => ({ tokens: await tokens.list(), invites: await invites.list() }))
  serve(app, routes.deleteToken, async ({ params }) => {
    await tokens.remove(params.name)
    return {}
  })
}

function mountUsers(app: FastifyInstance, { users, invites }: Services): void {
  serve(app, routes.createUser, ({ caller, body }) => invites.createUser(caller, body))
  serve(app, routes.listUsers, ({ query }) => users.page(query))
  serve(app, routes.getUser, async ({ caller, params }) => {
    ownOrAllowed(caller, params.name, 'user')
    return toRecord(await users.get(params.name))
  })
  serve(app, routes.putUser, ({ caller, params, body }) => users.replace(caller, params.name, body))
  serve(app, routes.deleteUser, async ({ caller, params }) => {
    await users.remove(caller, params.name)
    return {}
  })
  serve(app, routes.resetUser, ({ caller, params, body }) => invites.reset(caller, params.name, body.ttlSeconds))
  serve(app, routes.setPassword, async ({ caller, params, body }) => {
    await users.setPassword(caller, params.name, body.password)
    return {}
  })
}

/** Names are compared exactly: `Alice` is not `alice`. */
function ownOrAllowed(caller: Caller, name: string, resource: string): void {
  if (caller.role !== 'User' || caller.name === name) return
  if (caller.user === undefined) throw new AccessDenied('access denied: this connection has no user')
  const decision = checkRule(caller.user, { kind: resource, verb: 'read', resource: { name, unread: true } })
  if (!decision.allow) throw new AccessDenied(`access denied: ${decision.reason}`)
}

function mountRoles(app: FastifyInstance, { roles }: Services): void {
  serve(app, routes.listRoles, ({ query }) => roles.page(query))
  serve(app, routes.getRole, ({ params }) => roles.get(params.name))
  serve(app, routes.putRole, ({ caller, params, body }) => roles.put(caller, params.name, body))
  serve(app, routes.deleteRole, async ({ caller, params }) => {
    await roles.remove(caller, params.name)
    return {}
  })
}

function mountLogins(app: FastifyInstance, services: Services): void {
  const { logins, invites, users, issuer, authorities } = services
  serve(app, routes.login, ({ body }) => logins.login(body))
  serve(app, routes.getInvite, ({ body }) => invites.open(body.token, body.client.address))
  serve(app, routes.acceptInvite, async ({ body }) => ({ user: await invites.accept(body) }))
  serve(app, routes.signUser, async ({ caller, body }) => {
    const user = (await users.get(body.user)).value
    return issuer.user({
      user,
      roles: await users.rolesOf(user),
      publicKey: parseKeyLine(body.publicKey),
      ttlSeconds: body.ttlSeconds,
      requestedBy: caller.name,
    })
  })
  serve(app, routes.signHost, async ({ caller, body }) => {
    const { principals, ttlSeconds } = body
    const publicKey = parseKeyLine(body.publicKey)
    const certificate = await issuer.openssh({ principals, publicKey, ttlSeconds, requestedBy: caller.name })
    return {
      certificate: formatCertificateLine(certificate),
      hostAuthorities: [authorities.public('host')],
      clusterName: authorities.clusterName,
      validBefore: new Date(Number(certificate.validBefore) * 1000).toISOString(),
    }
  })
  serve(app, routes.renewUser, async ({ caller, body }) => {
    if (caller.user === undefined) throw new AccessDenied('only users renew user certificates')
    const { user, roles, expires } = caller.user
    return issuer.user({
      user: (await users.get(user)).value,
      // The roles of the certificate that was shown, not those gained since: for these one logs in again.
      roles,
      publicKey: parseKeyLine(body.publicKey),
      ttlSeconds: body.ttlSeconds,
      notAfter: expires,
      address: caller.address,
    })
  })
}

function mountAudit(app: FastifyInstance, { audit, recordings }: Services): void {
  serve(app, routes.emitEvents, async ({ caller, body }) => {
    await audit.collect(caller.name, body.events)
    return {}
  })
  serve(app, routes.searchEvents, ({ query }) => audit.search(query))
  serve(app, routes.exportEvents, ({ query }) => audit.export(query))
  serve(app, routes.verifyEvents, ({ query, signal }) => verifyAudit({ audit, recordings, query, signal }))
}

function mountLeases(app: FastifyInstance, { leases }: Services): void {
  serve(app, routes.acquireLease, async ({ caller, body }) => ({
    expires: (await leases.acquire(caller, body)).toISOString(),
  }))
  serve(app, routes.renewLeases, async ({ caller, body }) => ({
    expires: (await leases.renew(caller, body.leases)).toISOString(),
  }))
  serve(app, routes.listLeases, ({ query }) => leases.page(query))
  serve(app, routes.deleteLeases, async ({ params }) => {
    await leases.forget(params.name)
    return {}
  })
  serve(app, routes.releaseLease, async ({ caller, body }) => {
    await leases.release(caller, body)
    return {}
  })
}
