/** The text of the page's editor is what `tctl` reads and prints. */

import { expect, test } from 'vitest'
import { presetRoles } from '../access/presets.ts'
import { isBadParameter } from '../errors/errors.ts'
import { readResourceText, roleText, settingsText, type TextKind, userText } from './resource-text.ts'
import { toRoleRecord } from './role-record.ts'

test.each(presetRoles.map((role) => ({ name: role.metadata.name, role })))('the role $name reads back', ({ role }) => {
  const record = toRoleRecord(role)
  const made = roleText({ ...record, metadata: { ...record.metadata, revision: '7' } })
  expect(made).toMatchObject({ name: role.metadata.name, revision: '7' })
  expect(made.text).not.toContain('revision')
  expect(readResourceText(made.text, 'role')).toMatchObject({ name: role.metadata.name, role: { spec: record.spec } })
})

test('a user reads back', () => {
  const user = {
    name: 'alice',
    roles: ['dev'],
    traits: { logins: ['root'] },
    createdBy: 'a',
    created: '',
    activated: true,
  }
  expect(readResourceText(userText({ ...user, revision: '3' }).text, 'user')).toEqual({
    kind: 'user',
    name: 'alice',
    roles: ['dev'],
    traits: { logins: ['root'] },
  })
})

test('settings read back', () => {
  const spec = { clientIdleTimeout: 60, keepAliveInterval: 300, keepAliveCountMax: 3, sessionDetachTimeout: 0 }
  const made = settingsText('cluster_networking_config', { spec, origin: 'dynamic', revision: '1' })
  expect(readResourceText(made.text, 'cluster_networking_config')).toMatchObject({ spec })
})

const role = (spec: string) => `kind: role\nversion: v4\nmetadata: {name: dev}\nspec:\n  ${spec}\n`
test.each<{ name: string; text: string; kind: TextKind; message: string | RegExp }>([
  {
    name: 'an unknown key, with its line and the one that was meant',
    text: role('allow: {login: [root]}'),
    kind: 'role',
    message: "5: spec.allow.login: unknown key (did you mean 'logins'?)",
  },
  {
    name: 'a star among the logins',
    text: role("allow: {logins: ['*']}"),
    kind: 'role',
    message: /^5: spec.allow.logins: /,
  },
  { name: 'another kind', text: role('{}'), kind: 'user', message: '1: kind: must be user, not "role"' },
  { name: 'nothing', text: '', kind: 'role', message: 'there is no resource in it' },
  { name: 'two', text: `${role('{}')}---\n${role('{}')}`, kind: 'role', message: 'there must be one resource in it' },
  { name: 'what is no YAML', text: 'kind: [', kind: 'role', message: /^\d+: / },
  {
    name: 'secrets of a backup',
    text: 'kind: user\nversion: v2\nmetadata: {name: a}\nspec: {local_auth: {}}',
    kind: 'user',
    message: '4: spec.local_auth: belongs to backups; tctl create reads it',
  },
])('$name is refused', ({ text, kind, message }) => {
  try {
    readResourceText(text, kind)
    expect.unreachable()
  } catch (error) {
    expect(isBadParameter(error)).toBe(true)
    expect(String((error as Error).message)).toMatch(message)
  }
})
