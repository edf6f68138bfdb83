/** Joining, presence and join tokens. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { hostCredentials, isoTime, joinToken, labels, presence, serverRole } from './model.ts'
import { page, pageOf } from './pages.ts'
import { byName, name, publicKeyLine, ttlSeconds } from './route-fields.ts'

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
