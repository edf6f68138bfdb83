import { expect, test } from 'vitest'
import { backTo } from './back-to.ts'

test.each([
  ['/web/nodes?search=a', '/web/nodes?search=a'],
  ['/web/account', '/web/account'],
  ['/web/admin/users?search=a', '/web/admin/users?search=a'],
  ['/docs/api', '/docs/api'],
  ['/docs/other', '/web/nodes'],
  ['/docs/api//evil.example', '/web/nodes'],
  ['/web/admin/users/evil.example', '/web/nodes'],
  ['/web/admin//evil.example', '/web/nodes'],
  ['/web/login?to=%2Fweb%2Flogin', '/web/nodes'],
  ['//evil.example', '/web/nodes'],
  ['/\\evil.example', '/web/nodes'],
  ['https:evil.example', '/web/nodes'],
  ['https://evil.example', '/web/nodes'],
  ['javascript:alert(1)', '/web/nodes'],
  ['/web/\r\nx', '/web/nodes'],
  ['/web//evil.example', '/web/nodes'],
  ['/web@evil.example', '/web/nodes'],
  ['/web/..//evil.example', '/web/nodes'],
  [undefined, '/web/nodes'],
  [['/web/nodes'], '/web/nodes'],
])('W8 %j leads to %s', (wanted, path) => expect(backTo(wanted)).toBe(path))
