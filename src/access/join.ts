/**
 * Who may join whose session and how, and who must be there before a session may go on. Pure: facts in, modes or a sentence out.
 * What no rule gives is denied; without a rule there are only one's own sessions.
 */

import { quote } from '../common/text.ts'
import type { RequireSessionJoin, Role, SessionMode } from './types.ts'

/** Whose session it is: the roles are those with which it was opened. */
export interface SessionOwner {
  readonly user: string
  readonly roles: readonly string[]
}

export interface Joiner {
  readonly user: string
  readonly roles: readonly Role[]
}

const allModes: readonly SessionMode[] = ['peer', 'observer', 'moderator']
/** Nobody moderates themselves. */
const ownModes: readonly SessionMode[] = ['peer', 'observer']

/** How the joiner may take part in the owner's session; empty: not at all. In the order in which one is chosen when none is named. */
export function joinModes(joiner: Joiner, owner: SessionOwner): readonly SessionMode[] {
  if (joiner.roles.length === 0) return []
  if (joiner.user === owner.user) return ownModes
  const granted = new Set(
    joiner.roles
      .flatMap(({ spec }) => spec.allow.join_sessions)
      .filter((rule) => covers(rule.roles, owner.roles))
      .flatMap((rule) => rule.modes),
  )
  return allModes.filter((mode) => granted.has(mode))
}

/** Is there any rule by which sessions of others can be joined? For a proxy, which does not know which session is meant. */
export const canJoinOthers = (roles: readonly Role[]): boolean =>
  roles.some(({ spec }) => spec.allow.join_sessions.some((rule) => rule.roles.length > 0 && rule.modes.length > 0))

const covers = (wanted: readonly string[], roles: readonly string[]): boolean =>
  roles.length > 0 && wanted.some((name) => name === '*' || roles.includes(name))

/** Who is there besides the owner. */
export interface PresentParty {
  readonly user: string
  readonly roles: readonly string[]
  readonly mode: SessionMode
}

/** What the roles of a session's owner demand: of each role that demands something, one of its requirements must be met. */
export interface Moderation {
  readonly owner: string
  readonly requirements: readonly (readonly RequireSessionJoin[])[]
}

/** Undefined: the owner works alone. */
export function moderationOf(owner: Joiner): Moderation | undefined {
  const requirements = owner.roles
    .map(({ spec }) => spec.allow.require_session_join)
    .filter((required) => required.length > 0)
  return requirements.length === 0 ? undefined : { owner: owner.user, requirements }
}

/** Who is still missing, for people: `1 more of role "auditor" as moderator`. Undefined: nobody. */
export function whoIsMissing(moderation: Moderation, present: readonly PresentParty[]): string | undefined {
  const texts = unmet(moderation, present).map((choices) =>
    choices.map((choice) => describe(choice, presentFor(moderation, choice, present))).join(', or '),
  )
  return texts.length === 0 ? undefined : texts.join('; and ')
}

/** What happens to a running session for which somebody is missing: the strictest of what is not met. */
export const whenMissing = (moderation: Moderation, present: readonly PresentParty[]): 'terminate' | 'pause' =>
  unmet(moderation, present).some((choices) => choices.some(({ on_leave }) => on_leave === 'terminate'))
    ? 'terminate'
    : 'pause'

const unmet = (moderation: Moderation, present: readonly PresentParty[]) =>
  moderation.requirements.filter(
    (choices) => !choices.some((choice) => presentFor(moderation, choice, present) >= choice.count),
  )

/** Different people: one who is there twice counts once, the owner not at all. */
function presentFor({ owner }: Moderation, choice: RequireSessionJoin, present: readonly PresentParty[]): number {
  const fitting = present.filter(
    ({ user, roles, mode }) => user !== owner && choice.modes.includes(mode) && covers(choice.roles, roles),
  )
  return new Set(fitting.map(({ user }) => user)).size
}

function describe(choice: RequireSessionJoin, here: number): string {
  const roles = choice.roles.includes('*') ? 'any role' : `role ${choice.roles.map(quote).join(' or ')}`
  return `${choice.count - here} more of ${roles} as ${choice.modes.join(' or ')}`
}
