/** Users and roles. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { isoTime, roleRecord, userRecord } from './model.ts'
import { page, pageOf } from './pages.ts'
import { byName, name, ttlSeconds } from './route-fields.ts'

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
