/** What each endpoint does. Who may call it stands in `src/api/routes.ts`; here is only what a user's own limits are. */

import type { FastifyInstance } from 'fastify'
import { type Authorized, authorizeListed, authorizeResource, authorizeSight } from '../access/authorize.ts'
import { loginsFor } from '../access/decide.ts'
import { checkRule } from '../access/rules.ts'
import type { Caller } from '../api/caller.ts'
import type { SettingsKind } from '../api/cluster-settings.ts'
import { formatCertificateLine, parseKeyLine } from '../api/lines.ts'
import type { Authority, Presence } from '../api/model.ts'
import * as routes from '../api/routes.ts'
import { PreparedLines, serve } from '../api/serve.ts'
import type { Placed } from '../api/server-index.ts'
import { version } from '../common/version.ts'
import { AccessDenied, BadParameter } from '../errors/errors.ts'
import { verifyAudit } from './audit-verify.ts'
import { authorityTypes } from './authorities.ts'
import { explainAccess } from './explain.ts'
import { mountFactors } from './mfa/routes.ts'
import { actorOf, nodeFacts } from './permits.ts'
import { mountRecordings } from './recording-routes.ts'
import { mountAccessRequests } from './request-routes.ts'
import type { Services } from './services.ts'
import { mountSessions } from './session-routes.ts'

/** Mounts every endpoint of the auth API. */
export function mountRoutes(app: FastifyInstance, services: Services): void {
  mountCluster(app, services)
  mountMachines(app, services)
  mountTokens(app, services)
  mountUsers(app, services)
  mountRoles(app, services)
  mountSettings(app, services)
  mountSecrets(app, services)
  mountLogins(app, services)
  mountFactors(app, services)
  mountAudit(app, services)
  mountRecordings(app, services)
  mountSessions(app, services)
  mountLeases(app, services)
  mountWebSessions(app, services)
  mountLocks(app, services)
  mountAccessRequests(app, services)
  mountRotation(app, services)
}

function mountRotation(app: FastifyInstance, { rotation }: Services): void {
  serve(app, routes.rotateAuthorities, ({ caller, body }) => rotation.rotate(caller, body))
  serve(app, routes.getRotation, async () => rotation.report())
}

function statusOf({ type, rotation, rotated }: Authority) {
  return { type, ...(rotation === undefined ? {} : { rotation }), ...(rotated === undefined ? {} : { rotated }) }
}

/** How the log fares is for those who may read it. */
const mayKnowAudit = ({ role, user }: Caller): boolean =>
  role === 'Admin' || (user !== undefined && checkRule(user, { kind: 'event', verb: 'list' }).allow)

function mountCluster(app: FastifyInstance, { hub, authorities, audit, env, recordings }: Services): void {
  serve(app, routes.getStatus, async ({ caller }) => ({
    clusterName: hub.clusterName,
    version,
    caPins: [...authorities.caPins],
    authorities: authorityTypes.map((type) => statusOf(authorities.public(type))),
    time: env.now().toISOString(),
    ...(mayKnowAudit(caller) ? { audit: await audit.summary(), recordingAlarm: await recordings.alarm() } : {}),
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
    const role = caller.role === 'User' ? (query.role ?? 'node') : query.role
    const { user } = caller
    const after = query.after === undefined ? '' : decodeCursor(query.after)
    const page = visiblePage(caller, hub.snapshot.servers.inOrder(role, env.now().getTime(), after), query.limit)
    if (query.logins === 'false' || user === undefined) return page
    return { ...page, items: page.items.map((node) => ({ ...node, logins: [...loginsFor(user, node.labels)] })) }
  })
  serve(app, routes.deletePresence, async ({ caller, params }) => {
    const found = hub.snapshot.servers.byUuid(params.role, params.uuid, env.now().getTime())
    // What is not there is forgotten already.
    const facts = found === undefined ? { name: params.uuid, unread: true as const } : nodeFacts(found)
    const permit = authorizeResource(actorOf(caller), 'delete', 'node', facts)
    await presence.forget(params.role, permit)
    return {}
  })
}

/**
 * A user sees the nodes on which some login is allowed; a node that they may not reach does not exist for them. The cursor is the last
 * one's place in the order of servers, which are looked at until the page is full and one more is found.
 */
function visiblePage(caller: Caller, servers: Iterable<Placed>, limit: number) {
  const actor = actorOf(caller)
  const items: Presence[] = []
  let last = ''
  for (const { place, presence } of servers) {
    const seen = sightOf(actor, presence)
    if (seen === undefined) continue
    if (items.length === limit) return { items, next: encodeCursor(last) }
    items.push(seen.target)
    last = place
  }
  return { items }
}

/** Auth servers and proxies are nobody's to reach: a rule lets users list them. */
function sightOf(actor: ReturnType<typeof actorOf>, presence: Presence): Authorized<Presence> | undefined {
  if ('builtin' in actor || presence.role === 'node') return authorizeSight(actor, presence)
  const kind = presence.role === 'auth' ? 'auth_server' : 'proxy'
  return authorizeListed(actor, kind, [presence], nodeFacts)[0]
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
  serve(app, routes.listTokens, async ({ caller }) => ({
    tokens: await tokens.list(caller),
    invites: await invites.list(caller),
  }))
  serve(app, routes.deleteToken, async ({ caller, params }) => {
    await tokens.remove(caller, params.name)
    return {}
  })
}

function mountUsers(app: FastifyInstance, { users, invites }: Services): void {
  serve(app, routes.createUser, ({ caller, body }) => invites.createUser(caller, body))
  serve(app, routes.listUsers, ({ caller, query }) => users.page(caller, query))
  serve(app, routes.getUser, ({ caller, params }) => users.read(caller, params.name))
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

function mountRoles(app: FastifyInstance, services: Services): void {
  const { roles } = services
  serve(app, routes.explainAccess, async ({ caller, query }) => ({
    items: await explainAccess(services, caller, query),
  }))
  serve(app, routes.listRoles, ({ caller, query }) => roles.page(caller, query))
  serve(app, routes.getRole, ({ caller, params }) => roles.get(caller, params.name))
  serve(app, routes.putRole, ({ caller, params, body }) => roles.put(caller, params.name, body))
  serve(app, routes.deleteRole, async ({ caller, params }) => {
    await roles.remove(caller, params.name)
    return {}
  })
}

function mountSecrets(app: FastifyInstance, { secretExports }: Services): void {
  serve(app, routes.exportAuthorities, async ({ caller }) => ({ items: await secretExports.authorities(caller) }))
  serve(app, routes.exportCredentials, ({ caller, query }) => secretExports.credentials(caller, query))
  serve(app, routes.restoreCredentials, async ({ caller, params, body }) => {
    await secretExports.restore(caller, params.name, body)
    return {}
  })
}

function mountSettings(app: FastifyInstance, { clusterSettings }: Services): void {
  const reset = async (caller: Caller, kind: SettingsKind) => {
    await clusterSettings.reset(caller, kind)
    return {}
  }
  const [auth, networking, recording] = [
    'cluster_auth_preference',
    'cluster_networking_config',
    'session_recording_config',
  ] as const
  serve(app, routes.getAuthPreference, ({ caller }) => clusterSettings.get(caller, auth))
  serve(app, routes.putAuthPreference, ({ caller, body }) => clusterSettings.put(caller, auth, body))
  serve(app, routes.resetAuthPreference, ({ caller }) => reset(caller, auth))
  serve(app, routes.getNetworkingConfig, ({ caller }) => clusterSettings.get(caller, networking))
  serve(app, routes.putNetworkingConfig, ({ caller, body }) => clusterSettings.put(caller, networking, body))
  serve(app, routes.resetNetworkingConfig, ({ caller }) => reset(caller, networking))
  serve(app, routes.getRecordingConfig, ({ caller }) => clusterSettings.get(caller, recording))
  serve(app, routes.putRecordingConfig, ({ caller, body }) => clusterSettings.put(caller, recording, body))
  serve(app, routes.resetRecordingConfig, ({ caller }) => reset(caller, recording))
}

function mountLogins(app: FastifyInstance, services: Services): void {
  const { logins, invites, users, issuer, authorities, accessRequests } = services
  serve(app, routes.login, ({ body }) => logins.login(body))
  serve(app, routes.changePassword, async ({ body }) => {
    const { newPassword, ...proof } = body
    await users.changePassword(await logins.authenticate(proof, { kind: 'change_password' }), proof, newPassword)
    return {}
  })
  serve(app, routes.getInvite, ({ body }) => invites.open(body.token, body.client.address))
  serve(app, routes.acceptInvite, ({ body }) => invites.accept(body))
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
    const { roles, expires, accessRequests: held } = caller.user
    const user = (await users.get(caller.name)).value
    // The roles of the certificate that was shown and of approved requests, not those gained since: for these one logs in again.
    const requests = { held, wanted: body.accessRequests }
    return issuer.user({
      user,
      ...(await accessRequests.grantsFor(user, { roles, expires }, requests)),
      publicKey: parseKeyLine(body.publicKey),
      ttlSeconds: body.ttlSeconds,
      address: caller.address,
    })
  })
}

function mountWebSessions(app: FastifyInstance, { webSessions }: Services): void {
  serve(app, routes.openWebSession, ({ body }) => webSessions.open(body))
  serve(app, routes.checkWebSession, ({ body }) => webSessions.check(body.token, body))
  serve(app, routes.renewWebSession, ({ body }) => webSessions.renew(body.token, body.client, body.accessRequests))
  serve(app, routes.endWebSession, async ({ body }) => {
    await webSessions.end(body.token, body)
    return {}
  })
  serve(app, routes.listWebSessions, async ({ caller }) => ({ items: webSessions.list(caller) }))
  serve(app, routes.deleteWebSession, async ({ caller, params }) => {
    await webSessions.remove(caller, params.id)
    return {}
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

function mountLocks(app: FastifyInstance, { locks }: Services): void {
  serve(app, routes.createLock, ({ caller, body }) => locks.create(caller, body))
  serve(app, routes.listLocks, ({ caller, query }) => locks.page(caller, query))
  serve(app, routes.getLock, ({ caller, params }) => locks.get(caller, params.id))
  serve(app, routes.deleteLock, async ({ caller, params }) => {
    await locks.remove(caller, params.id)
    return {}
  })
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
