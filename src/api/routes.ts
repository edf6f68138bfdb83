/** The auth API: HTTP/JSON inside SSH channels on port 3025. No logic here; `src/auth` serves it, `client.ts` calls it. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { acceptedInvite, attestation, client, deviceName, proofFields } from './mfa-model.ts'
import {
  authority,
  clusterConfig,
  hostCredentials,
  invite,
  isoTime,
  joinToken,
  labels,
  presence,
  roleRecord,
  serverRole,
  userCredentials,
  userRecord,
  watchEvent,
} from './model.ts'
import { page, pageOf } from './pages.ts'

export * from './audit-routes.ts'
export { explainAccess } from './explain-routes.ts'
export * from './lease-routes.ts'
export * from './lock-routes.ts'
export * from './mfa-routes.ts'
export * from './recording-routes.ts'
export * from './request-routes.ts'
export * from './rotation-routes.ts'
export { exportAuthorities, exportCredentials, restoreCredentials } from './secret-routes.ts'
export * from './session-routes.ts'
export * from './settings-routes.ts'
export {
  checkWebSession,
  deleteWebSession,
  endWebSession,
  listWebSessions,
  openWebSession,
  renewWebSession,
} from './web-session-routes.ts'

const name = z.string().min(1).max(256)
const byName = z.strictObject({ name })
/** An OpenSSH public key line. RSA keys of 16,384 bits fit. */
const publicKeyLine = z.string().max(8192)
const ttlSeconds = z.number().int().positive().max(31_536_000_0)

// --- Cluster -----------------------------------------------------------------------------------------------------------
export const getStatus = endpoint({
  method: 'GET',
  path: '/v1/status',
  summary: 'Name, version and CA pins of the cluster',
  callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'],
  userRule: 'none',
  output: z.strictObject({
    clusterName: z.string(),
    version: z.string(),
    caPins: z.array(z.string()),
    authorities: z.array(authority.pick({ type: true, rotation: true, rotated: true })),
    /** Server time, for noticing clock skew. */
    time: isoTime,
    /** For administrators, and users with the rule to list events. */
    audit: z
      .strictObject({
        /** The last event, and the last that the search index knows. */
        last: z.number().int(),
        indexed: z.number().int(),
        /** `low`, `reserve` and `full` are alarms: on the disk there is little room, room for logins only, or none. */
        disk: z.enum(['ok', 'low', 'reserve', 'full']),
        /** The log does not contain what it contained before; `tctl audit verify` says more. */
        damaged: z.boolean(),
      })
      .optional(),
    /** For the same: why the store takes no recordings now. */
    recordingAlarm: z.string().optional(),
  }),
})
export const getConfig = endpoint({
  method: 'GET',
  path: '/v1/config',
  summary: 'Cluster-wide settings',
  callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'],
  userRule: 'none',
  output: clusterConfig,
})
export const listAuthorities = endpoint({
  method: 'GET',
  path: '/v1/authorities',
  summary: 'Public keys of the authorities; private keys never leave the auth service',
  callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'],
  userRule: 'none',
  output: z.strictObject({ items: z.array(authority) }),
})
export const watch = endpoint({
  method: 'GET',
  path: '/v1/watch',
  summary: 'A snapshot of authorities, locks, roles, users, presence and settings, then each change, for ever',
  callers: ['Node', 'Proxy', 'Auth', 'Admin'],
  output: watchEvent,
  stream: true,
})

// --- Joining and presence ----------------------------------------------------------------------------------------------
export const join = endpoint({
  method: 'POST',
  path: '/v1/join',
  summary: 'Certificates for a new machine; uses up a single-use token',
  callers: ['ProvisionToken'],
  body: z.strictObject({
    uuid: z.uuid(),
    hostname: name,
    /** One key pair for each role; only the public halves travel. */
    keys: z
      .array(z.strictObject({ role: serverRole, publicKey: publicKeyLine }))
      .min(1)
      .max(3),
    /** Names and addresses under which it is reached, for the certificate's principals. */
    advertisedNames: z.array(name).max(64),
  }),
  output: hostCredentials,
})
export const renewHost = endpoint({
  method: 'POST',
  path: '/v1/hosts/renew',
  summary: "A new certificate for the caller's own uuid and role",
  callers: ['Node', 'Proxy', 'Auth'],
  body: z.strictObject({ hostname: name, publicKey: publicKeyLine, advertisedNames: z.array(name).max(64) }),
  output: hostCredentials,
})
export const heartbeat = endpoint({
  method: 'POST',
  path: '/v1/presence',
  summary: 'The caller is alive; identity comes from its certificate',
  callers: ['Node', 'Proxy', 'Auth'],
  body: z.strictObject({
    hostname: name,
    address: name,
    publicAddresses: z.array(name).max(64),
    labels,
    version: z.string().max(64),
    /** Fingerprints of the authorities that the caller trusts. */
    trusts: z.array(z.string().max(64)).max(16).optional(),
  }),
  output: z.strictObject({ expires: isoTime, time: isoTime }),
})
export const listPresence = endpoint({
  method: 'GET',
  path: '/v1/presence',
  summary:
    'Servers of the cluster; a user sees the nodes that their roles let them reach, and what rules for auth_server and proxy let them list',
  callers: ['Admin', 'Proxy', 'Node', 'Auth', 'User'],
  userRule: 'self',
  query: z.strictObject({
    role: serverRole.optional(),
    /** With the logins that the asking user may use on each node. */
    logins: z.enum(['true', 'false']).default('false'),
    ...page,
  }),
  output: pageOf(presence.extend({ logins: z.array(z.string()).optional() })),
})
export const deletePresence = endpoint({
  method: 'DELETE',
  path: '/v1/presence/:role/:uuid',
  summary: 'Forgets a server until it is heard of again',
  callers: ['Admin', 'User'],
  userRule: { resource: 'node', verb: 'delete', each: true },
  params: z.strictObject({ role: serverRole, uuid: z.uuid() }),
  output: empty,
})
export const createToken = endpoint({
  method: 'POST',
  path: '/v1/tokens',
  summary: 'A join token; shown in full only here',
  callers: ['Admin', 'User'],
  userRule: { resource: 'token', verb: 'create', each: true },
  body: z.strictObject({
    roles: z.array(serverRole).min(1).max(3),
    value: z.string().min(16).max(256).optional(),
    ttlSeconds: ttlSeconds.optional(),
    labels: labels.default({}),
  }),
  output: z.strictObject({ token: joinToken, caPins: z.array(z.string()), authServers: z.array(z.string()) }),
})
export const listTokens = endpoint({
  method: 'GET',
  path: '/v1/tokens',
  summary: 'Join tokens and user invites, abbreviated',
  callers: ['Admin', 'User'],
  userRule: { resource: 'token', verb: 'list', each: true },
  output: z.strictObject({
    tokens: z.array(joinToken),
    invites: z.array(
      z.strictObject({ token: z.string(), user: z.string(), kind: z.enum(['invite', 'reset']), expires: isoTime }),
    ),
  }),
})
export const deleteToken = endpoint({
  method: 'DELETE',
  path: '/v1/tokens/:name',
  summary: 'Revokes a join token or invite, by its value or its abbreviation',
  callers: ['Admin', 'User'],
  userRule: { resource: 'token', verb: 'delete', each: true },
  params: byName,
  output: empty,
})

// --- Users and roles ---------------------------------------------------------------------------------------------------
const inviteLink = z.strictObject({ user: z.string(), token: z.string(), url: z.string(), expires: isoTime })
export const createUser = endpoint({
  method: 'POST',
  path: '/v1/users',
  summary: 'A user with an invite link for setting the password and second factor',
  callers: ['Admin', 'User'],
  userRule: { resource: 'user', verb: 'create', each: true },
  body: z.strictObject({
    name,
    roles: z.array(name).min(1).max(64),
    traits: z.record(name, z.array(name).max(256)),
    /** Absent: no invite is made. */
    inviteTtlSeconds: ttlSeconds.optional(),
  }),
  output: z.strictObject({ user: userRecord, invite: inviteLink.optional() }),
})
export const listUsers = endpoint({
  method: 'GET',
  path: '/v1/users',
  summary: 'Users',
  callers: ['Admin', 'User'],
  userRule: { resource: 'user', verb: 'list', each: true },
  query: z.strictObject(page),
  output: pageOf(userRecord),
})
export const getUser = endpoint({
  method: 'GET',
  path: '/v1/users/:name',
  summary: 'One user; everybody may read their own record',
  callers: ['Admin', 'User'],
  userRule: 'self',
  params: byName,
  output: userRecord,
})
export const putUser = endpoint({
  method: 'PUT',
  path: '/v1/users/:name',
  summary: "Creates or replaces a user's roles and traits; with `revision`, only if nobody else changed it",
  callers: ['Admin', 'User'],
  userRule: { resource: 'user', verb: 'update', each: true },
  params: byName,
  body: z.strictObject({
    roles: z.array(name).min(1).max(64),
    traits: z.record(name, z.array(name).max(256)),
    revision: z.string().optional(),
    /** False: refuse if it exists already. */
    overwrite: z.boolean().default(true),
  }),
  output: userRecord,
})
export const deleteUser = endpoint({
  method: 'DELETE',
  path: '/v1/users/:name',
  summary: 'Removes a user with passwords, devices and invites',
  callers: ['Admin', 'User'],
  userRule: { resource: 'user', verb: 'delete', each: true },
  params: byName,
  output: empty,
})
export const resetUser = endpoint({
  method: 'POST',
  path: '/v1/users/:name/reset',
  summary: 'Forgets password and second factor; gives a link for setting new ones',
  callers: ['Admin', 'User'],
  userRule: { resource: 'user', verb: 'update', each: true },
  params: byName,
  body: z.strictObject({ ttlSeconds: ttlSeconds.optional() }),
  output: inviteLink,
})
export const setPassword = endpoint({
  method: 'PUT',
  path: '/v1/users/:name/password',
  summary: 'Sets a password (administrators)',
  callers: ['Admin'],
  params: byName,
  body: z.strictObject({ password: z.string().max(1024) }),
  output: empty,
})
export const listRoles = endpoint({
  method: 'GET',
  path: '/v1/roles',
  summary: 'Roles',
  callers: ['Admin', 'User'],
  userRule: { resource: 'role', verb: 'list', each: true },
  query: z.strictObject(page),
  output: pageOf(roleRecord),
})
export const getRole = endpoint({
  method: 'GET',
  path: '/v1/roles/:name',
  summary: 'One role; `metadata.revision` changes with every change of it',
  callers: ['Admin', 'User'],
  userRule: { resource: 'role', verb: 'read', each: true },
  params: byName,
  output: roleRecord,
})
export const putRole = endpoint({
  method: 'PUT',
  path: '/v1/roles/:name',
  summary: 'Creates or replaces a role; with `revision`, only if nobody else changed it',
  callers: ['Admin', 'User'],
  userRule: { resource: 'role', verb: 'update', each: true },
  params: byName,
  body: z.strictObject({ role: roleRecord, overwrite: z.boolean().default(true), revision: z.string().optional() }),
  output: roleRecord,
})
export const deleteRole = endpoint({
  method: 'DELETE',
  path: '/v1/roles/:name',
  summary: 'Removes a role that no user has',
  callers: ['Admin', 'User'],
  userRule: { resource: 'role', verb: 'delete', each: true },
  params: byName,
  output: empty,
})

// --- Logins and certificates -------------------------------------------------------------------------------------------
export const login = endpoint({
  method: 'POST',
  path: '/v1/login',
  summary: 'Password and second factor for a certificate, on behalf of a client of the proxy',
  callers: ['Proxy'],
  body: z.strictObject({
    user: name,
    password: z.string().max(1024),
    ...proofFields,
    publicKey: publicKeyLine,
    ttlSeconds: ttlSeconds.optional(),
    client,
  }),
  output: userCredentials,
})
export const changePassword = endpoint({
  method: 'POST',
  path: '/v1/password',
  summary: "A user's own new password, for the old one and the second factor, on behalf of a client of the proxy",
  callers: ['Proxy'],
  body: z.strictObject({
    user: name,
    password: z.string().max(1024),
    newPassword: z.string().max(1024),
    otp: proofFields.otp,
    ceremony: proofFields.ceremony,
    client,
  }),
  output: empty,
})
export const getInvite = endpoint({
  method: 'POST',
  path: '/v1/invites/open',
  summary: 'What an invite or reset link is for; a POST so that the secret stays out of logged paths',
  callers: ['Proxy'],
  body: z.strictObject({ token: z.string().max(256), client }),
  output: invite,
})
export const acceptInvite = endpoint({
  method: 'POST',
  path: '/v1/invites/accept',
  summary: 'Sets password and second factor; uses up the link',
  callers: ['Proxy'],
  body: z.strictObject({
    token: z.string().max(256),
    password: z.string().max(1024),
    otp: z.string().max(16).optional(),
    webauthn: attestation.optional(),
    deviceName: deviceName.optional(),
    client,
  }),
  output: acceptedInvite,
})
export const signUser = endpoint({
  method: 'POST',
  path: '/v1/certificates/user',
  summary: 'Signs a key for a user (`tctl auth sign --user`); the private half stays with the caller',
  callers: ['Admin'],
  body: z.strictObject({ user: name, publicKey: publicKeyLine, ttlSeconds: ttlSeconds.optional() }),
  output: userCredentials,
})
export const signHost = endpoint({
  method: 'POST',
  path: '/v1/certificates/host',
  summary: 'Signs a host key of an OpenSSH server (`tctl auth sign --host`)',
  callers: ['Admin'],
  body: z.strictObject({
    principals: z.array(name).min(1).max(64),
    publicKey: publicKeyLine,
    ttlSeconds: ttlSeconds.optional(),
  }),
  output: z.strictObject({
    certificate: z.string(),
    hostAuthorities: z.array(authority),
    clusterName: z.string(),
    validBefore: isoTime,
  }),
})
export const renewUser = endpoint({
  method: 'POST',
  path: '/v1/certificates/renew',
  summary: 'A certificate for another key of the caller, never living longer than the one it is asked with',
  callers: ['User'],
  userRule: 'self',
  body: z.strictObject({
    publicKey: publicKeyLine,
    ttlSeconds: ttlSeconds.optional(),
    /** Approved requests of the caller, whose roles are wanted too. Those of the certificate that is shown stay. */
    accessRequests: z.array(z.uuid()).max(16).default([]),
  }),
  output: userCredentials,
})
