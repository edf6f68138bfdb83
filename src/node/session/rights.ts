/** Whether those who joined may still be there. */

import { joinModes, type SessionOwner } from '../../access/join.ts'
import type { Role } from '../../access/types.ts'
import type { UserIdentity } from '../../api/authenticate-user.ts'
import type { ClusterState } from '../../api/cluster-state.ts'
import type { Party } from './party.ts'

/** By the roles that their certificate names and the cluster grants at this moment, which the party has from now on. */
export function mayStay(party: Party, owner: SessionOwner, state: ClusterState): boolean {
  const roles = presentRoles(party.connection.identity.identity, state)
  party.roles = roles.map((role) => role.metadata.name)
  return joinModes({ user: party.user, roles }, owner).includes(party.mode)
}

function presentRoles(identity: UserIdentity, state: ClusterState): readonly Role[] {
  const granted = state.user(identity.user)?.roles ?? []
  return identity.roleNames
    .filter((name) => granted.includes(name))
    .map((name) => state.role(name))
    .filter((role) => role !== undefined)
}
