/** The roles of a new cluster, as in Teleport 7; its editors also see the auth servers and proxies. */

import { roleSchema } from './schema.ts'
import type { Role } from './types.ts'

const READ_WRITE = ['list', 'create', 'read', 'update', 'delete']
const READ_ONLY = ['list', 'read']
const EDITABLE = ['user', 'role', 'token', 'github', 'oidc', 'saml', 'auth_connector'].concat([
  'cluster_auth_preference',
  'cluster_networking_config',
  'session_recording_config',
  'trusted_cluster',
  'remote_cluster',
  'lock',
])
const VISIBLE = ['auth_server', 'proxy']

const preset = (name: string, description: string, allow: Record<string, unknown>): Role =>
  roleSchema.parse({
    kind: 'role',
    version: 'v4',
    metadata: { name, description },
    spec: { options: { forward_agent: true, port_forwarding: true, max_session_ttl: '30h' }, allow },
  })

export const presetRoles: readonly Role[] = [
  preset('access', 'Access cluster resources', { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } }),
  preset('editor', 'Edit cluster configuration', {
    rules: [
      ...EDITABLE.map((kind) => ({ resources: [kind], verbs: READ_WRITE })),
      { resources: VISIBLE, verbs: READ_ONLY },
    ],
  }),
  preset('auditor', 'Review cluster events and replay sessions', {
    rules: ['session', 'event'].map((kind) => ({ resources: [kind], verbs: READ_ONLY })),
  }),
]
