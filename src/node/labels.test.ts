import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { advertisedAddress } from '../common/advertised-address.ts'
import { fakeEnv } from '../common/fake-env.ts'
import { silentLogger } from '../common/log.ts'
import { tempDir } from '../ssh/testing/temp-dir.ts'
import { Connections } from './connections.ts'
import { atExpiry } from './expiry.ts'
import { firstLine, openLabels } from './labels.ts'
import { poll } from './testing/poll.ts'

describe('labels from commands', () => {
  test('are there at once, are fresh after each period, and stop with the node', async () => {
    using directory = tempDir()
    const env = fakeEnv()
    const file = directory.write('value', 'one\ntwo\n')
    const labels = openLabels(
      { env: 'dev' },
      [{ name: 'v', command: ['cat', file], periodMs: 5000 }],
      env,
      silentLogger,
    )
    await labels.first
    expect(labels.current()).toEqual({ env: 'dev', v: 'one' })
    writeFileSync(file, 'three\n')
    await env.advance(4999)
    expect(labels.current().v).toBe('one')
    await env.advance(1)
    await poll(() => labels.current().v).toBe('three')
    labels.close()
    await poll(() => env.sleeping()).toBe(0)
  })

  test('say that their command failed, and run without a shell and without our variables', async () => {
    process.env.DAEMON_SECRET = 'x'
    const labels = openLabels(
      {},
      [
        { name: 'bad', command: ['/no/such/program'], periodMs: 1000 },
        { name: 'raw', command: ['echo', '$HOME; id'], periodMs: 1000 },
        { name: 'env', command: ['sh', '-c', 'echo "[$DAEMON_SECRET]"'], periodMs: 1000 },
      ],
      fakeEnv(),
      silentLogger,
    )
    await labels.first
    expect(labels.current()).toMatchObject({ raw: '$HOME; id', env: '[]' })
    expect(labels.current().bad).toMatch(/^error: /)
    labels.close()
  })

  test.each([
    ['a\nb', 'a'],
    ['  a  \n', 'a'],
    ['', ''],
    ['\x1b[31mred', '[31mred'],
  ])('the first line of %j is %j', (output, line) => expect(firstLine(output)).toBe(line))

  test('a long line is cut', () => expect(firstLine('x'.repeat(5000)).length).toBe(1024))
})

describe('limits', () => {
  test('connections and users are counted in and out', () => {
    const connections = new Connections({ maxConnections: 3, maxUsers: 2 })
    const leave = connections.enter('a')
    connections.enter('a')
    connections.enter('b')
    expect(() => connections.enter('b')).toThrow('max_connections')
    leave()
    expect(() => connections.enter('c')).toThrow('max_users')
    connections.enter('b')
  })
})

test.each([
  [{ host: '127.0.0.1', port: 1 }, undefined, '127.0.0.1:1'],
  [{ host: '::1', port: 1 }, undefined, '[::1]:1'],
  [{ host: '0.0.0.0', port: 1 }, { host: '10.1.1.1' }, '10.1.1.1:1'],
  [{ host: '0.0.0.0', port: 1 }, { host: '10.1.1.1', port: 2 }, '10.1.1.1:2'],
])('listening on %j and advertising %j gives %s', (listen, advertise, expected) => {
  expect(advertisedAddress(listen, advertise)).toBe(expected)
})

test('the end of a certificate is waited for, however far, and not after the connection', async () => {
  const env = fakeEnv()
  const ended: string[] = []
  const at = (days: number) => new Date(env.now().getTime() + days * 86_400_000)
  const gone = new AbortController()
  void atExpiry(at(100), env, new AbortController().signal, () => ended.push('far'))
  void atExpiry(at(1), env, gone.signal, () => ended.push('gone'))
  void atExpiry(at(-1), env, new AbortController().signal, () => ended.push('past'))
  gone.abort()
  await env.advance(99 * 86_400_000)
  expect(ended).toEqual(['past'])
  await env.advance(2 * 86_400_000)
  expect(ended).toEqual(['past', 'far'])
})
