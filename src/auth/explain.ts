/** Answers who may log in where and why, from users, roles and nodes as they are now, to whoever may read all three. */

import { type Authorized, authorizeResource, authorizeSight } from '../access/authorize.ts'
import { MAX_SESSION_TTL_SECONDS } from '../access/decide.ts'
import { explainLogin } from '../access/explain.ts'
import { checkRule } from '../access/rules.ts'
import type { Caller } from '../api/caller.ts'
import type { AccessExplanation } from '../api/explain-routes.ts'
import type { Presence } from '../api/model.ts'
import { readRole } from '../api/role-record.ts'
import { isUuid } from '../common/names.ts'
import { quote } from '../common/text.ts'
import { NotFound } from '../errors/errors.ts'
import { actorOf, nodeFacts, roleFacts } from './permits.ts'
import type { Services } from './services.ts'

/** Seconds that a certificate lives when nobody asks for less. */
const defaultTtlSeconds = Math.min(23 * 3600, MAX_SESSION_TTL_SECONDS)

export interface ExplainAsk {
  readonly user: string
  readonly login: string
  readonly node: string
}

/** Throws AccessDenied, NotFound. */
export async function explainAccess(
  { users, tables, hub, env }: Pick<Services, 'users' | 'tables' | 'hub' | 'env'>,
  caller: Caller,
  ask: ExplainAsk,
): Promise<AccessExplanation[]> {
  const user = await users.read(caller, ask.user)
  const records = await Promise.all(user.roles.map((name) => tables.roles.find(name)))
  const found = records.flatMap((record) => (record === undefined ? [] : [record.value]))
  // The findings quote what stands in each of them.
  for (const record of found) authorizeResource(actorOf(caller), 'read', 'role', roleFacts(record))
  const known = new Set(found.map(({ metadata }) => metadata.name))
  const missingRoles = user.roles.filter((name) => !known.has(name))
  const { config } = hub
  const nodes = nodesNamed(hub, ask.node, env.now().getTime()).filter((node) => isKnownTo(caller, node))
  if (nodes.length === 0) throw new NotFound(`there is no node ${quote(ask.node)}; tctl nodes ls lists them`)
  return nodes.map((node) => {
    const asked = { roles: found.map(readRole), traits: user.traits, login: ask.login, nodeLabels: node.labels }
    const { allow, reason, role, conditions, roles, options, createHostUser } = explainLogin(
      asked,
      config,
      defaultTtlSeconds,
    )
    const { forwardTo, ...others } = options
    return {
      user: user.name,
      login: ask.login,
      node: node.hostname,
      nodeId: node.uuid,
      labels: node.labels,
      allow,
      reason,
      ...(role === undefined ? {} : { role }),
      ...(conditions === undefined ? {} : { conditions: [...conditions] }),
      ...(missingRoles.length === 0 ? {} : { missingRoles }),
      createHostUser,
      roles: [...roles],
      options: { ...others, ...(forwardTo === undefined ? {} : { forwardTo: [...forwardTo] }) },
      sessionRecording: config.sessionRecording,
    }
  })
}

/** By uuid, or by name. */
function nodesNamed({ snapshot }: Pick<Services['hub'], 'snapshot'>, name: string, now: number): readonly Presence[] {
  const { servers } = snapshot
  const byUuid = isUuid(name) ? servers.byUuid('node', name, now) : undefined
  return byUuid === undefined ? servers.byHostname('node', name, now) : [byUuid]
}

/** A node that the caller neither reaches nor may read does not exist for them, here as in every listing. */
function isKnownTo(caller: Caller, node: Presence): boolean {
  const actor = actorOf(caller)
  const sight: Authorized<Presence> | undefined = authorizeSight(actor, node)
  if (sight !== undefined || 'builtin' in actor) return true
  return checkRule(actor, { kind: 'node', verb: 'read', resource: nodeFacts(node) }).allow
}
