import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Presence } from '../../api/model.ts'
import { BadParameter } from '../../errors/errors.ts'
import { destination, parseSubsystem } from './destination.ts'
import { type NodeIndex, route, splitAddress } from './router.ts'

const uuid = (digit: string) => `${digit.repeat(8)}-0000-4000-8000-${digit.repeat(12)}`
const node = (digit: string, hostname: string, more: Partial<Presence> = {}): Presence => ({
  uuid: uuid(digit),
  role: 'node',
  hostname,
  address: `10.0.0.${digit}:3022`,
  publicAddresses: [],
  labels: {},
  version: '1',
  expires: '2099-01-01T00:00:00.000Z',
  ...more,
})

const nodes = [
  node('1', 'web', { labels: { env: 'dev', image: 'nginx:1' } }),
  node('2', 'db', { labels: { env: 'prod' }, publicAddresses: ['db.example.com:22'] }),
  node('3', 'twin', { labels: { env: 'prod', side: 'a=b' } }),
  node('4', 'twin', { address: '10.0.0.4:4022' }),
  node('5', 'six', { address: '[fd00::5]:3022' }),
  node('6', 'loop', { address: '127.0.0.1:3022' }),
  node('7', 'web.home', {}),
  node('8', 'odd.name.home', {}),
]

/** Answers as the cache does, from a list. */
function indexOf(list: readonly Presence[]): NodeIndex {
  return {
    clusterName: 'Home',
    serverByUuid: (_role, id) => list.find((one) => one.uuid === id),
    serversByHostname: (_role, name) => list.filter((one) => one.hostname.toLowerCase() === name.toLowerCase()),
    serversByLabel: (_role, name, value) => list.filter((one) => one.labels[name] === value),
    serversByAddress: (_role, host, port) =>
      list.filter((one) =>
        [one.address, ...one.publicAddresses].some((address) => {
          const parsed = splitAddress(address)
          return parsed?.host === host && (port === undefined || parsed.port === port)
        }),
      ),
  }
}

const go = (asked: string, maySee: (one: Presence) => boolean = () => true) => {
  const parsed = parseSubsystem(`proxy:${asked}`)
  if (parsed === undefined) throw new Error('not a proxy subsystem')
  const found = route(indexOf(nodes), parsed, maySee)
  return found.ok ? found.node.uuid[0] : `${found.kind}: ${found.reason}`
}

describe('a destination finds its node', () => {
  test.each([
    ['a node name', 'db:3022', '2'],
    ['a node name in another case', 'DB:3022', '2'],
    ['a node name without a port', 'db', '2'],
    ['a node name with port 0', 'db:0', '2'],
    ['a node name with the port that ssh takes when none is given', 'web:22', '1'],
    ['a node name with an empty port', 'db:', '2'],
    ['a node name with the cluster', 'db.home:3022', '2'],
    ['a node name with the cluster and a dot', 'db.HOME.:3022', '2'],
    ['the same cluster named', 'db:3022@home', '2'],
    ['the whole name before the name without the cluster', 'web.home:3022', '7'],
    ['a name that ends like the cluster', 'odd.name.home:3022', '8'],
    ['a uuid', `${uuid('3')}:3022`, '3'],
    ['a uuid in capitals', `${uuid('3').toUpperCase()}:3022`, '3'],
    ['a uuid with the cluster', `${uuid('4')}.home:3022`, '4'],
    ['a registered address', '10.0.0.1:3022', '1'],
    ['a registered IPv6 address', '[fd00::5]:3022', '5'],
    ['a public address', 'db.example.com:22', '2'],
    ['the port decides between nodes of one name', 'twin:4022', '4'],
    ['a label that one node has', 'env=dev:3022', '1'],
    ['a label with an equals sign in its value', 'side=a=b', '3'],
    ['a label with a colon in its value', 'image=nginx:1:0', '1'],
    ['loopback, when a node registered it', '127.0.0.1:3022', '6'],
  ])('%s', (_name, asked, found) => expect(go(asked)).toBe(found))

  test('an exact port is preferred to the default', () => {
    const list = [node('1', 'a'), node('2', 'a', { address: '10.0.0.2:4000' })]
    expect(route(indexOf(list), destination('a', 3022), () => true)).toMatchObject({
      ok: true,
      node: { uuid: uuid('1') },
    })
  })
})

describe('a destination that is not a registered node is refused', () => {
  test.each([
    [
      'the auth service on this machine',
      '127.0.0.1:3025',
      /^other-port: node "127\.0\.0\.1" is registered on port 3022, not on 3025$/,
    ],
    ['loopback by another name', 'localhost:3022', /^not-found/],
    ['IPv6 loopback', '[::1]:22', /^not-found/],
    ['loopback as a number', '0x7f000001:3022', /^not-found/],
    ['loopback in decimal', '2130706433:3022', /^not-found/],
    ['loopback shortened', '127.1:3022', /^not-found/],
    ['loopback inside IPv6', '[::ffff:127.0.0.1]:3022', /^not-found/],
    ['a metadata service', '169.254.169.254:80', /^not-found/],
    ['a name of the internet', 'example.com:22', /^not-found/],
    ['another port of a node', 'db:5432', /^other-port: .*3022, 22, not on 5432$/],
    ['another cluster', 'db:3022@leaf', /^other-cluster: cluster "leaf" is not known here; this is Home$/],
    ['a label nobody has', 'env=test', /^not-found/],
    ['a label without a name', '=dev', /^not-found/],
    ['a label of the prototype', '__proto__=x', /^not-found/],
  ])('%s', (_name, asked, reason) => expect(go(asked)).toMatch(reason))

  test('an ambiguous name lists the candidates', () => {
    expect(go('twin')).toBe(
      `ambiguous: "twin" matches 2 nodes; use a uuid: twin (${uuid('3')}, 10.0.0.3:3022), twin (${uuid('4')}, 10.0.0.4:4022)`,
    )
    expect(go('env=prod')).toMatch(/^ambiguous/)
  })

  test('a long list of candidates is cut', () => {
    const many = Array.from({ length: 500 }, (_, n) =>
      node('1', 'x', { uuid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` }),
    )
    const found = route(indexOf(many), destination('x', 0), () => true)
    expect(found).toMatchObject({ ok: false, reason: expect.stringMatching(/and 490 more$/) })
  })
})

describe('what somebody may not list does not exist for them', () => {
  const onlyDev = (one: Presence) => one.labels.env === 'dev'

  test.each(['db:3022', `${uuid('2')}:3022`, '10.0.0.2:3022', 'env=prod', 'db:5432'])('%s', (asked) => {
    const host = parseSubsystem(`proxy:${asked}`)?.host
    expect(go(asked, onlyDev)).toBe(`not-found: node "${host}" is not found`)
  })

  test('hidden nodes make no name ambiguous', () => {
    expect(go('twin', (one) => one.uuid === uuid('4'))).toBe('4')
  })
})

describe('the subsystem name', () => {
  test.each(['sftp', 'proxy', 'PROXY:x:1', ''])('%s is not ours', (name) =>
    expect(parseSubsystem(name)).toBeUndefined(),
  )

  test.each([
    'proxy:',
    'proxy::22',
    'proxy:a b:22',
    'proxy:a\n:22',
    'proxy:a:99999',
    'proxy:a:1@',
    'proxy:a:1@b c',
    'proxy:[]:1',
    `proxy:${'a'.repeat(2000)}:1`,
  ])('%j is refused', (name) => expect(() => parseSubsystem(name)).toThrow(BadParameter))

  test('any text is a destination, not ours, or refused; nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          const parsed = parseSubsystem(`proxy:${text}`)
          expect(parsed?.host).not.toBe('')
          expect(parsed?.port).toBeLessThan(65_536)
        } catch (error) {
          expect(error).toBeInstanceOf(BadParameter)
        }
      }),
    )
  })
})

describe('host:port', () => {
  test.each([
    ['a:1', { host: 'a', port: 1 }],
    ['[::1]:2', { host: '::1', port: 2 }],
    ['::1', { host: '::1', port: 0 }],
    ['10.0.0.1', { host: '10.0.0.1', port: 0 }],
    ['a:70000', undefined],
    ['a:b', undefined],
    ['', undefined],
  ])('%s', (text, parsed) => expect(splitAddress(text)).toEqual(parsed))
})
