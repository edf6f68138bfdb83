/** The two spellings of a machine's role: in configuration and presence, and in certificates. */

import type { MachineRole } from './identity.ts'
import type { ServerRole } from './model.ts'

export const machineRoleOf: Readonly<Record<ServerRole, MachineRole>> = { auth: 'Auth', proxy: 'Proxy', node: 'Node' }
