/** The roles that a certificate names and the cluster still grants, at this moment. */

import type { Role } from '../../access/types.ts'
import type { UserIdentity } from '../../api/authenticate-user.ts'
import type { ClusterState } from '../../api/cluster-state.ts'

export function presentRoles(identity: UserIdentity, state: ClusterState): readonly Role[] {
  const granted = state.user(identity.user)?.roles ?? []
  return identity.roleNames
    .filter((name) => granted.includes(name))
    .map((name) => state.role(name))
    .filter((role) => role !== undefined)
}
