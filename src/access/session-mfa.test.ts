/** Who is asked for a factor of a session, for how long one proof does, and for which nodes (SECURITY W12). */

import { describe, expect, test } from 'vitest'
import { readYaml } from '../common/yaml.ts'
import { parseRole } from './schema.ts'
import { coversNode, grantTtlMs, mayNeedSessionMfa, needsSessionMfa } from './session-mfa.ts'
import type { Role } from './types.ts'

const role = (options: string, labels = '{env: dev}'): Role => {
  const text = `kind: role\nversion: v4\nmetadata: {name: r}\nspec:\n  options: ${options}\n  allow: {logins: [root], node_labels: ${labels}}\n`
  const [document] = readYaml(text, 'role')
  if (document === undefined) throw new Error('no document')
  return parseRole(document)
}
const asks = role('{require_session_mfa: yes}')
const plain = role('{}')
const elsewhere = role('{require_session_mfa: yes}', '{env: prod}')
const ofTraits = role('{require_session_mfa: yes}', "{team: '{{external.team}}'}")

describe('a session needs a factor of its own', () => {
  const rows: readonly [
    name: string,
    roles: readonly Role[],
    labels: Record<string, string>,
    cluster: boolean,
    boolean,
  ][] = [
    ['of a role that asks and matches', [asks], { env: 'dev' }, false, true],
    ['not of a role that asks elsewhere', [elsewhere], { env: 'dev' }, false, false],
    ['not of a role that does not ask', [plain], { env: 'dev' }, false, false],
    ['when one of several asks and matches', [plain, asks], { env: 'dev' }, false, true],
    ['not when the one that asks is for other nodes', [plain, elsewhere], { env: 'dev' }, false, false],
    ['whatever the roles say, when the cluster asks', [plain], { env: 'dev' }, true, true],
    ['without any role, when the cluster asks', [], {}, true, true],
    ['not without any role', [], {}, false, false],
    ['of a role whose labels come from traits', [ofTraits], { team: 'db' }, false, true],
    ['not of one whose traits are of another team', [ofTraits], { team: 'web' }, false, false],
    ['not for a label that only looks like one', [asks], { __proto__: 'dev' } as Record<string, string>, false, false],
  ]
  test.each(rows)('%s', (_, roles, nodeLabels, cluster, expected) => {
    expect(needsSessionMfa({ roles, traits: { team: ['db'] }, nodeLabels, cluster })).toBe(expected)
  })

  test('where no node is meant, any role that asks counts', () => {
    expect(mayNeedSessionMfa([plain, elsewhere], false)).toBe(true)
    expect(mayNeedSessionMfa([plain], false)).toBe(false)
    expect(mayNeedSessionMfa([plain], true)).toBe(true)
  })
})

describe('one proof for several sessions', () => {
  const grants = (minutes: string, asking = true) =>
    role(`{require_session_mfa: ${asking ? 'yes' : 'no'}, session_mfa_grant_ttl: ${minutes}}`)
  const rows: readonly [name: string, roles: readonly Role[], minutes: number][] = [
    ['is good for nothing unless a role says so', [asks], 0],
    ['for as long as the role says', [grants('30m')], 30],
    ['for the shortest of those that ask', [grants('30m'), grants('10m')], 10],
    ['not at all when one that asks does not allow it', [grants('30m'), asks], 0],
    ['as those who ask say, not the others', [grants('10m'), grants('30m', false)], 10],
    ['as any says where only the cluster asks', [plain, grants('20m', false)], 20],
    ['not at all without roles', [], 0],
  ]
  test.each(rows)('%s', (_, roles, minutes) => {
    expect(grantTtlMs(roles)).toBe(minutes * 60_000)
  })
})

describe('a proof covers', () => {
  const node = {
    uuid: '11111111-1111-4111-8111-111111111111',
    hostname: 'Web-1',
    labels: { env: 'dev', empty: '' },
    clusterName: 'feat',
  }
  test.each([
    ['web-1', true],
    ['WEB-1.feat', true],
    ['11111111-1111-4111-8111-111111111111', true],
    ['11111111-1111-4111-8111-111111111111.feat', true],
    ['env=dev', true],
    ['empty=', true],
    ['env=de', false],
    ['env=dev2', false],
    ['=dev', false],
    ['__proto__=x', false],
    ['constructor=', false],
    ['web-1.other', false],
    ['web', false],
    ['*', false],
    ['', false],
  ])('%s: %s', (target, expected) => {
    expect(coversNode(['other', target], node)).toBe(expected)
  })
  test('nothing without targets', () => {
    expect(coversNode([], node)).toBe(false)
  })
})
