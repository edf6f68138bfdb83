/**
 * SECURITY matrix, groups A, J and P5: the HTTPS port before hostile requests, machines that join with less than a good token, and
 * where tokens show up. A real cluster, `curl` and `openssl`.
 */

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectAuth, joinCluster } from '../../src/api/connect.ts'
import { createToken, getStatus, heartbeat, listUsers, signHost } from '../../src/api/routes.ts'
import { realEnv } from '../../src/common/env.ts'
import { bin, Dialog, run, until } from '../run.ts'
import { type Bench, startBench } from './bench.ts'

const secret = 'static-token-that-must-not-be-seen-anywhere'
let bench: Bench
let processes: readonly string[]
let pin: string
let others: Dialog[] = []

beforeAll(async () => {
  bench = await startBench({
    auth: `  tokens: ["node:${secret}"]\n  authentication: {type: local, second_factor: off}`,
  })
  await bench.cluster.addUser('alice')
  pin = (await bench.api.call(getStatus)).caPins[0] ?? ''
  processes = bench.processes()
})
afterAll(async () => {
  await Promise.all(others.map((process) => process.stop()))
  await bench?.remove()
})

const url = (path: string) => `https://127.0.0.1:${bench.cluster.ports.web}${path}`
const curl = (...args: readonly string[]) =>
  run('curl', ['-sk', '--max-time', '60', '-o', '-', '-w', '\n%{http_code}', '--interface', bench.address(), ...args])
const statusOf = (answer: { readonly stdout: string }) => Number(answer.stdout.trim().split('\n').at(-1))

describe('the HTTPS port', () => {
  test.each([
    '/web/..%2f..%2fetc%2fpasswd',
    '/../../etc/passwd',
    '/web/invite/..%2f..%2f..%2fetc%2fpasswd',
    '/sessions/..%2f..%2fetc%2fpasswd/stream',
    '/web/invite/%00%0d%0aSet-Cookie:x=1',
    '/v1/users',
    '/v1/authorities',
  ])('A5 %s is nothing', async (path) => {
    const answer = await curl('--path-as-is', '-i', url(path))
    expect([400, 404]).toContain(statusOf(answer))
    expect(answer.stdout).not.toContain('root:')
    expect(answer.stdout).not.toContain('Set-Cookie')
  })

  test('A6 A7 too large, too deep, too slow or of the wrong kind is refused early', async () => {
    const login = url('/webapi/ssh/certs')
    const json = ['-H', 'content-type: application/json']
    expect(statusOf(await curl('-d', '{}', '-H', 'content-type: text/plain', login))).toBe(415)
    expect(statusOf(await curl('-d', '{"user":"alice"}', '-H', 'content-type: text/plain', login))).toBe(415)
    expect(statusOf(await curl('-X', 'GET', login))).toBe(404)
    expect(statusOf(await curl('-X', 'GET', '-H', 'x-http-method-override: POST', login))).toBe(404)
    const large = await curl(...json, '-H', 'content-length: 1073741824', '-H', 'expect:', '-d', '{', login)
    expect(statusOf(large)).toBe(413)
    const deep = bench.file('deep.json')
    writeFileSync(deep, '['.repeat(60_000))
    expect(statusOf(await curl(...json, '-d', `@${deep}`, login))).toBe(400)
    // Not so long that it is still being sent when the answer comes and the connection is closed.
    const header = await curl('-H', `x: ${'y'.repeat(20_000)}`, url('/webapi/ping'))
    expect(statusOf(header)).toBe(431)
    expect(bench.processes()).toEqual(processes)
  })

  test('A7 a length and chunks at once is refused, and the connection closed', async () => {
    const socket = connectTls({ port: bench.cluster.ports.web, host: '127.0.0.1', rejectUnauthorized: false })
    socket.write(
      'POST /webapi/ssh/certs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /webapi/ping HTTP/1.1\r\nhost: x\r\n\r\n',
    )
    let answer = ''
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    await new Promise((resolve) => socket.once('close', resolve))
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })

  test('A8 old TLS is refused, and half a handshake keeps nobody waiting', async () => {
    const where = `127.0.0.1:${bench.cluster.ports.web}`
    for (const version of ['-tls1', '-tls1_1']) {
      const old = await run('openssl', ['s_client', '-connect', where, version, '-cipher', 'ALL:@SECLEVEL=0'])
      expect(old.code, version).not.toBe(0)
    }
    const half: Socket[] = Array.from({ length: 300 }, () =>
      connect(bench.cluster.ports.web, '127.0.0.1').on('error', () => undefined),
    )
    for (const socket of half) socket.write(Buffer.from([0x16, 0x03, 0x01]))
    expect(statusOf(await curl(url('/webapi/ping')))).toBe(200)
    for (const socket of half) socket.destroy()
  })

  test('P6 the client is who connects, whatever it says', async () => {
    const from = bench.address()
    const body = JSON.stringify({
      user: 'alice',
      password: 'wrong',
      publicKey: readFileSync(`${bench.newKey()}.pub`, 'utf8').trim(),
    })
    const headers = ['x-forwarded-for: 1.1.1.1', 'forwarded: for=1.1.1.1', 'x-real-ip: 1.1.1.1']
    await run('curl', [
      ...['-sk', '--interface', from, '-d', body, '-H', 'content-type: application/json'],
      ...headers.flatMap((header) => ['-H', header]),
      url('/webapi/ssh/certs'),
    ])
    const events = await bench.events('user.login', { from })
    expect(events[0]).toMatchObject({ code: 'T1000W', user: 'alice', success: false })
    expect(JSON.stringify(events)).not.toContain('1.1.1.1')
  })

  test('J5 there is no script to put commands into', async () => {
    const answer = await curl('--path-as-is', url('/scripts/%0d%0a%60id%60/install.sh'))
    expect(statusOf(answer)).toBe(404)
    expect(answer.stdout).not.toContain('`id`')
    expect(answer.stdout).not.toContain('uid=')
  })
})

describe('tctl create', () => {
  test('A6 a YAML bomb is an error, quickly', async () => {
    const file = bench.file('bomb.yaml')
    const lines = ['a: &a ["x","x","x","x","x","x","x","x","x","x"]']
    for (const [index, name] of [...'bcdefghij'].entries()) {
      const before = 'abcdefghij'[index]
      lines.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${before}`).join(',')}]`)
    }
    writeFileSync(file, `${lines.join('\n')}\n`)
    // The fixture gives up on a program that takes long.
    expect((await bench.cluster.tctl('create', file)).code).toBe(2)
  })
})

const joining = (token: string, roles: readonly ('node' | 'proxy' | 'auth')[], caPin = pin) =>
  joinCluster({
    addresses: [`127.0.0.1:${bench.cluster.ports.auth}`],
    token,
    caPin,
    uuid: realEnv.randomUuid(),
    hostname: 'rogue',
    roles,
    advertisedNames: [],
  })

describe('machines', () => {
  test('J3 a token is for its roles, and a certificate names only its machine', async () => {
    await expect(joining(secret, ['proxy'])).rejects.toThrow(/does not let a machine join as proxy/)
    await expect(joining(secret, ['node', 'auth'])).rejects.toThrow(/does not let a machine join as auth/)
    const [identity] = await joining(secret, ['node'])
    expect(identity?.certificate.type).toBe('host')
    const { certificate, uuid } = identity ?? { certificate: undefined, uuid: '' }
    for (const name of certificate?.principals ?? [])
      expect(name).toMatch(new RegExp(`^(?:${uuid}|rogue)(?:\\.feat)?$`))
  })

  test('A2 P5 a node may speak for itself only, and learns no secrets', async () => {
    const [identity] = await joining(secret, ['node'])
    if (identity === undefined) throw new Error('no identity')
    const api = connectAuth({ addresses: [`127.0.0.1:${bench.cluster.ports.auth}`], identity: () => identity })
    await expect(api.call(listUsers)).rejects.toThrow(/may not/)
    await expect(api.call(createToken, { body: { roles: ['node'] } })).rejects.toThrow(/may not/)
    const publicKey = readFileSync(`${bench.newKey()}.pub`, 'utf8').trim()
    await expect(api.call(signHost, { body: { principals: ['*'], publicKey } })).rejects.toThrow(/may not/)
    // The name of the machine that is there: refused or shown beside it, never instead of it.
    const beat = { hostname: 'node-1', address: '127.0.0.1:1', publicAddresses: [], labels: {}, version: '1' }
    await api.call(heartbeat, { body: beat }).catch(() => undefined)
    const nodes = (await bench.cluster.tctl('nodes', 'ls')).stdout
    expect(nodes).toContain(`127.0.0.1:${bench.cluster.ports.node}`)
    await api.close()
  })

  test('J4 a wrong pin ends it before the token is sent', async () => {
    await expect(joining(secret, ['node'], `sha256:${'0'.repeat(64)}`)).rejects.toThrow(/the token was not sent/)
  })

  test('J5 the token is in no log, no argument, no file and no listing', async () => {
    const dir = join(bench.cluster.dir, 'second')
    const config = bench.file('second.yaml')
    writeFileSync(
      config,
      `teleport: {nodename: second, data_dir: ${dir}, auth_servers: ["127.0.0.1:${bench.cluster.ports.auth}"]}
auth_service: {enabled: no}
proxy_service: {enabled: no}
ssh_service: {enabled: yes, listen_addr: "127.0.0.1:0"}
`,
    )
    const second = new Dialog(bin('teleport'), ['start', '-c', config, `--ca-pin=${pin}`, '-d'], {
      env: bench.cluster.env({ TELEPORT_SSH_TOKEN: secret }),
    })
    others = [second]
    await second.expect(/node +SSH on/)
    await until('the second node', async () => ((await bench.cluster.admin.knowsNode('second')) ? true : undefined))
    expect(second.output).not.toContain(secret)
    expect(bench.cluster.process?.output).not.toContain(secret)
    expect((await bench.cluster.tctl('tokens', 'ls')).stdout).not.toContain(secret)
    expect((await bench.cluster.tctl('audit', 'ls', '--format=json')).stdout).not.toContain(secret)
    for (const file of [...filesBelow(dir), ...filesBelow(join(bench.cluster.dir, 'data'))]) {
      expect(readFileSync(file).includes(secret), file).toBe(false)
    }
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      expect(argumentsOf(pid)).not.toContain(secret)
    }
    // What a session could read: nothing of it is handed on to the role's process.
    const role = roleProcess(second.child.pid ?? 0)
    expect(readFileSync(`/proc/${role}/environ`, 'utf8')).not.toContain(secret)
  })

  test('J2 guessing is slowed down until even the right token is not looked at', async () => {
    // All at once: tries come back with time.
    const guesses = Array.from({ length: 20 }, (_, guess) => joining(`wrong-token-number-${guess}-of-many`, ['node']))
    for (const guess of await Promise.allSettled(guesses)) expect(guess.status).toBe('rejected')
    await expect(joining(secret, ['node'])).rejects.toThrow(/refused the join token/)
    const events = await bench.events('auth', { from: '127.0.0.1' })
    expect(JSON.stringify(events)).not.toContain('wrong-token-number')
    expect(bench.processes()).toEqual(processes)
  })
})

function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
}

function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function roleProcess(supervisor: number): string {
  const isChild = (pid: string): boolean => {
    try {
      return new RegExp(`^PPid:\\s+${supervisor}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    } catch {
      return false
    }
  }
  return readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && isChild(pid)) ?? ''
}
