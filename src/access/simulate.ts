/**
 * What would change if roles were other ones: who could log in where, and which of the sessions that took place would have been
 * refused. The same decision as for a real login, asked twice.
 */

import { decideLogin, loginsFor } from './decide.ts'
import type { Labels, Role, Traits } from './types.ts'

export interface SimulatedUser {
  readonly name: string
  readonly roles: readonly string[]
  readonly traits: Traits
}

export interface SimulatedNode {
  readonly uuid: string
  readonly hostname: string
  readonly labels: Labels
}

/** A session that took place, or a login that was refused. */
export interface PastLogin {
  readonly time: string
  readonly user: string
  readonly login: string
  readonly serverId: string
  readonly hostname: string
  /** What the node was labelled then; the present labels count when it is absent. */
  readonly labels?: Labels
  readonly took: 'place' | 'no place'
}

export interface Simulation {
  readonly gained: readonly Access[]
  readonly lost: readonly Access[]
  /** Sessions that took place and would be refused. */
  readonly refused: readonly ChangedLogin[]
  /** Logins that were refused and would be allowed. */
  readonly allowed: readonly ChangedLogin[]
  /** Past logins that could be judged, and those that could not: their user or node is gone. */
  readonly judged: number
  readonly unknown: number
}

export interface Access {
  readonly user: string
  readonly login: string
  readonly node: string
  readonly nodeId: string
  readonly reason: string
}

export interface ChangedLogin {
  readonly time: string
  readonly user: string
  readonly login: string
  readonly node: string
  readonly reason: string
}

type RolesByName = ReadonlyMap<string, Role>

export interface SimulationInput {
  readonly before: RolesByName
  readonly after: RolesByName
  /** With the roles that they would have. */
  readonly users: readonly SimulatedUser[]
  /** By user name, where the roles would be other ones than now. */
  readonly rolesNow?: ReadonlyMap<string, readonly string[]>
  readonly nodes: readonly SimulatedNode[]
  readonly past: readonly PastLogin[]
}

export function simulate(input: SimulationInput): Simulation {
  const gained: Access[] = []
  const lost: Access[] = []
  const people = new Map(input.users.map((user) => [user.name, bothSides(input, user)]))
  for (const sides of people.values()) if (sides.differ) compareNodes(sides, input.nodes, gained, lost)
  return { gained, lost, ...comparePast(input, people) }
}

interface Sides {
  readonly user: SimulatedUser
  readonly before: readonly Role[]
  readonly after: readonly Role[]
  readonly differ: boolean
}

function bothSides({ before, after, rolesNow }: SimulationInput, user: SimulatedUser): Sides {
  const take = (names: readonly string[], roles: RolesByName) =>
    names.map((name) => roles.get(name)).filter((role) => role !== undefined)
  const now = take(rolesNow?.get(user.name) ?? user.roles, before)
  const then = take(user.roles, after)
  const differ = now.length !== then.length || now.some((role, index) => role !== then[index])
  return { user, before: now, after: then, differ }
}

function compareNodes(
  { user, before, after }: Sides,
  nodes: readonly SimulatedNode[],
  gained: Access[],
  lost: Access[],
): void {
  const { traits } = user
  for (const { uuid, hostname, labels } of nodes) {
    const had = new Set(loginsFor({ roles: before, traits }, labels))
    const has = new Set(loginsFor({ roles: after, traits }, labels))
    const about = (login: string, roles: readonly Role[]): Access => {
      const { reason } = decideLogin({ roles, traits, login, nodeLabels: labels })
      return { user: user.name, login, node: hostname, nodeId: uuid, reason }
    }
    for (const login of has) if (!had.has(login)) gained.push(about(login, after))
    for (const login of had) if (!has.has(login)) lost.push(about(login, after))
  }
}

function comparePast(
  { nodes, past }: SimulationInput,
  people: ReadonlyMap<string, Sides>,
): Pick<Simulation, 'refused' | 'allowed' | 'judged' | 'unknown'> {
  const labelsNow = new Map(nodes.map(({ uuid, labels }) => [uuid, labels]))
  const refused: ChangedLogin[] = []
  const allowed: ChangedLogin[] = []
  let judged = 0
  for (const { time, user, login, serverId, hostname, labels, took } of past) {
    const sides = people.get(user)
    const nodeLabels = labels ?? labelsNow.get(serverId)
    if (sides === undefined || nodeLabels === undefined) continue
    judged++
    if (!sides.differ) continue
    const { traits } = sides.user
    const now = decideLogin({ roles: sides.before, traits, login, nodeLabels })
    const then = decideLogin({ roles: sides.after, traits, login, nodeLabels })
    const about = { time, user, login, node: hostname, reason: then.reason }
    // What the roles of today refuse anyhow is no effect of the change.
    if (took === 'place' && now.allow && !then.allow) refused.push(about)
    if (took === 'no place' && !now.allow && then.allow) allowed.push(about)
  }
  return { refused, allowed, judged, unknown: past.length - judged }
}
