import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideForward, type ForwardTarget, forwardRules, parseForwardRule } from './forward-rules.ts'
import { roleSchema } from './schema.ts'

const role = (...forward_to: string[]) =>
  roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name: 'r' }, spec: { options: { forward_to } } })
const at = (host: string, port: number, address = host): ForwardTarget => ({ host, address, port })
const allowed = (rules: readonly string[], target: ForwardTarget): boolean =>
  decideForward(rules.map(parseForwardRule), target).allow

test.each([
  { name: 'an address', rules: ['10.0.0.5:443'], target: at('10.0.0.5', 443), ok: true },
  { name: 'another port', rules: ['10.0.0.5:443'], target: at('10.0.0.5', 444), ok: false },
  { name: 'an address inside a block', rules: ['10.0.0.0/8:*'], target: at('10.200.3.4', 22), ok: true },
  { name: 'an address outside of a block', rules: ['10.0.0.0/8:*'], target: at('11.0.0.1', 22), ok: false },
  {
    name: 'a name whose address is inside a block',
    rules: ['10.0.0.0/8:*'],
    target: at('db', 22, '10.1.1.1'),
    ok: true,
  },
  {
    name: 'a name whose address is elsewhere',
    rules: ['10.0.0.0/8:*'],
    target: at('db', 22, '192.168.0.1'),
    ok: false,
  },
  { name: 'IPv4 in its IPv6 form', rules: ['127.0.0.0/8:*'], target: at('::ffff:127.0.0.1', 80), ok: true },
  { name: 'IPv4 in hexadecimal IPv6 form', rules: ['127.0.0.0/8:*'], target: at('::ffff:7f00:1', 80), ok: true },
  { name: 'every IPv6 address is no IPv4 one', rules: ['[::/0]:*'], target: at('10.0.0.1', 80), ok: false },
  { name: 'nor in its IPv6 form', rules: ['[::/0]:*'], target: at('::ffff:10.0.0.1', 80), ok: false },
  { name: 'an IPv6 block', rules: ['[2001:db8::/32]:8000-8100'], target: at('2001:db8::1', 8050), ok: true },
  { name: 'beside a range of ports', rules: ['[2001:db8::/32]:8000-8100'], target: at('2001:db8::1', 8101), ok: false },
  { name: 'a link-local address with its zone', rules: ['[fe80::/10]:*'], target: at('fe80::1%eth0', 1), ok: true },
  { name: 'a name', rules: ['db.internal:5432'], target: at('DB.internal.', 5432, '10.0.0.9'), ok: true },
  { name: 'the address of an allowed name', rules: ['db.internal:5432'], target: at('10.0.0.9', 5432), ok: false },
  {
    name: 'localhost, when it is named',
    rules: ['localhost:5432'],
    target: at('localhost', 5432, '127.0.0.1'),
    ok: true,
  },
  { name: 'below a domain', rules: ['*.internal:5432'], target: at('a.db.internal', 5432, '10.0.0.9'), ok: true },
  { name: 'the domain itself', rules: ['*.internal:5432'], target: at('internal', 5432, '10.0.0.9'), ok: false },
  {
    name: 'a name that ends alike',
    rules: ['*.internal:5432'],
    target: at('notinternal', 5432, '10.0.0.9'),
    ok: false,
  },
  {
    name: 'S18 a name below a domain for the node itself',
    rules: ['*.internal:80'],
    target: at('x.internal', 80, '127.0.0.1'),
    ok: false,
  },
  { name: 'S18 the same over IPv6', rules: ['*.internal:80'], target: at('x.internal', 80, '::1'), ok: false },
  {
    name: 'S18 the same in disguise',
    rules: ['*.internal:80'],
    target: at('x.internal', 80, '::ffff:127.0.0.1'),
    ok: false,
  },
  { name: 'S18 the unspecified address', rules: ['*.internal:80'], target: at('x.internal', 80, '0.0.0.0'), ok: false },
  {
    name: 'S18 a metadata service',
    rules: ['*.internal:80'],
    target: at('x.internal', 80, '169.254.169.254'),
    ok: false,
  },
  { name: 'any host at a port', rules: ['*:443'], target: at('example.org', 443, '93.184.216.34'), ok: true },
  { name: 'any host at another port', rules: ['*:443'], target: at('example.org', 80, '93.184.216.34'), ok: false },
  { name: 'a socket', rules: ['/run/app.sock'], target: { path: '/run/app.sock' }, ok: true },
  { name: 'another socket', rules: ['/run/app.sock'], target: { path: '/run/docker.sock' }, ok: false },
  { name: 'a socket in a directory', rules: ['/run/app/*'], target: { path: '/run/app/one.sock' }, ok: true },
  { name: 'a way out of the directory', rules: ['/run/app/*'], target: { path: '/run/app/../docker.sock' }, ok: false },
  { name: 'any host is no socket', rules: ['*:*'], target: { path: '/run/docker.sock' }, ok: false },
  { name: 'one of several rules', rules: ['*:443', '10.0.0.1:22'], target: at('10.0.0.1', 22), ok: true },
])('$name: $ok', ({ rules, target, ok }) => {
  expect(allowed(rules, target)).toBe(ok)
})

describe('rules of several roles', () => {
  test('none means any target', () => {
    expect(forwardRules([role(), role()])).toBeUndefined()
    expect(decideForward(undefined, at('10.0.0.1', 22)).allow).toBe(true)
  })
  test('a role that names none does not open what another one closed', () => {
    const rules = forwardRules([role(), role('*:443')])
    expect(decideForward(rules, at('10.0.0.1', 22)).allow).toBe(false)
  })
  test('each adds its own', () => {
    const rules = forwardRules([role('10.0.0.1:22'), role('*:443')])
    expect(decideForward(rules, at('10.0.0.1', 22)).allow).toBe(true)
    expect(decideForward(rules, at('10.0.0.2', 443)).allow).toBe(true)
    expect(decideForward(rules, at('10.0.0.2', 22)).allow).toBe(false)
  })
})

test.each(
  ['', ':', 'host', 'host:', 'host:0', 'host:65536', 'host:9-1', ':443', '*', '10.0.0.*:1', '10.0.0.0/33:1', '10.1:22']
    .concat(['2001:db8::1:443', '[10.0.0.1]:443', '[db]:1', '*.*:1', 'a b:1', '*.:1', '/run/../x', '/run/*/x', '*x:1'])
    .concat(['http://x:80', 'x:80/y', '127.1:80', '[::1]', '[::1]:x']),
)('%j is refused', (text) => {
  expect(() => parseForwardRule(text)).toThrow(/is not a target/)
  expect(() => role(text)).toThrow()
})

test('any text is a rule or a clear refusal, and no rule allows what it does not name', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[*a-z0-9.:[\]/-]{1,30}$/)), (text) => {
      try {
        const rule = parseForwardRule(text)
        const target = at('unlikely.example', 65_111, '203.0.113.77')
        if (decideForward([rule], target).allow) expect(text).toMatch(/[*/]|65111/)
      } catch (error) {
        expect(String(error)).toContain('is not a target')
      }
    }),
  )
})
