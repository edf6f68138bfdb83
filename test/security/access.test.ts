/**
 * SECURITY matrix, groups S, P and O at a running cluster: what strangers meet at the three SSH ports, what a proxy does not do, and
 * what a session may not. The services run with an environment that must reach nobody.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { userInfo } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createUser } from '../../src/api/routes.ts'
import { login as ownLogin } from '../cluster.ts'
import { type Result, run } from '../run.ts'
import { type Bench, type Credentials, startBench } from './bench.ts'

const isRoot = userInfo().uid === 0
/** An account of its own where that is possible, in one more group than most. */
const login = isRoot ? `tpsec${randomBytes(3).toString('hex')}` : ownLogin
const leaked = 'leaked-from-the-daemon'

let bench: Bench
let processes: readonly string[]
let alice: Credentials

beforeAll(async () => {
  if (isRoot) {
    execFileSync('useradd', ['--create-home', '--groups', 'users', '--shell', '/bin/bash', login], { stdio: 'ignore' })
  }
  bench = await startBench({ env: { SECRET_OF_DAEMON: leaked, BASH_ENV: `/${leaked}`, LD_LIBRARY_PATH: `/${leaked}` } })
  const { api, cluster } = bench
  await cluster.admin.create(
    `kind: role
version: v4
metadata: {name: plain}
spec:
  options: {forward_agent: no, port_forwarding: no, permit_x11_forwarding: no}
  allow: {logins: ['{{internal.logins}}'], node_labels: {env: dev}}
---
kind: role
version: v4
metadata: {name: prod}
spec:
  allow: {logins: ['{{internal.logins}}'], node_labels: {env: prod}}
`,
  )
  const traits = { logins: [login] }
  for (const [name, role] of [
    ['alice', 'access'],
    ['bob', 'plain'],
    ['dave', 'prod'],
  ] as const) {
    await api.call(createUser, { body: { name, roles: [role], traits } })
  }
  alice = bench.mint({ logins: [login] })
  processes = bench.processes()
})
afterAll(async () => {
  await bench?.remove()
  if (isRoot) spawnSync('userdel', ['--force', '--remove', login], { stdio: 'ignore' })
})

const ports = ['auth', 'proxy', 'node'] as const

/** `ssh` without any check of the host, for what happens before or instead of a login. */
const anyHost = (port: number, ...args: readonly string[]): Promise<Result> =>
  run('ssh', [
    ...['-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ...['-o', 'GlobalKnownHostsFile=/dev/null', '-o', 'IdentityAgent=none', '-o', `BindAddress=${bench.address()}`],
    ...['-p', String(port), ...args, `${login}@127.0.0.1`, 'true'],
  ])

const node = (credentials: Credentials, args: readonly string[], options: { readonly login?: string } = {}) =>
  bench.ssh('node', credentials, args, { login, ...options })

describe.each(ports)('the SSH port of %s', (name) => {
  test('S1 ssh-audit finds nothing to complain about, and old algorithms find nobody', async () => {
    const port = bench.cluster.ports[name]
    const { stdout } = await run('ssh-audit', ['-n', '-p', String(port), '127.0.0.1'])
    expect(stdout).toContain('ssh-ed25519')
    expect(stdout).not.toContain('[fail]')
    const newer = ['mlkem768x25519-sha256', 'kex-strict-s-v00@openssh.com']
    const warnings = stdout.split('\n').filter((line) => line.includes('[warn]'))
    const meant = (line: string) => line.includes('unknown algorithm') && newer.some((known) => line.includes(known))
    expect(warnings.filter((line) => !meant(line))).toEqual([])
    for (const old of [
      ['-c', 'aes256-cbc,3des-cbc'],
      ['-o', 'KexAlgorithms=diffie-hellman-group14-sha1,diffie-hellman-group1-sha1'],
      ['-c', 'aes128-ctr', '-m', 'hmac-sha1,hmac-md5,umac-64@openssh.com'],
      ['-o', 'HostKeyAlgorithms=ssh-rsa,rsa-sha2-512'],
    ]) {
      expect((await anyHost(port, ...old)).stderr, old.join(' ')).toContain('no matching')
    }
  })

  test('S4 nothing but a certificate opens it', async () => {
    const port = bench.cluster.ports[name]
    for (const method of ['none', 'password', 'keyboard-interactive', 'hostbased']) {
      const refused = await anyHost(port, '-o', `PreferredAuthentications=${method}`)
      expect(refused.code, method).toBe(255)
      expect(refused.stderr, method).toContain('Permission denied')
    }
    const plain = await anyHost(port, '-i', bench.newKey())
    expect(plain.stderr).toContain('Permission denied')
  })

  test('S7 six keys and no more', async () => {
    const keys = Array.from({ length: 8 }, () => ['-i', bench.newKey()]).flat()
    const cut = await anyHost(bench.cluster.ports[name], '-o', 'IdentitiesOnly=yes', ...keys)
    expect(cut.code).toBe(255)
    expect(cut.stderr).toContain('Too many authentication failures')
  })
})

describe('S8 silent connections', () => {
  test('by the hundred keep nobody out, and end with the process alive', async () => {
    const silent: Socket[] = []
    for (const port of [bench.cluster.ports.node, bench.cluster.ports.proxy]) {
      for (let index = 0; index < 200; index++) {
        silent.push(connect({ port, host: '127.0.0.1', localAddress: '127.0.39.1' }).on('error', () => undefined))
      }
    }
    await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
    for (let times = 0; times < 3; times++) {
      expect((await node(alice, ['target', 'echo in'])).stdout).toBe('in\n')
      const through = await bench.ssh('proxy', alice, ['-W', `node-1:${bench.cluster.ports.node}`, 'target'], {
        input: 'x\r\n',
      })
      expect(through.stdout).toMatch(/^SSH-2\.0-/)
    }
    for (const socket of silent) socket.destroy()
    expect(bench.processes()).toEqual(processes)
  })
})

describe('the proxy', () => {
  test.each([
    '127.0.0.1:AUTH',
    '[::1]:22',
    '0x7f000001:22',
    '2130706433:22',
    '169.254.169.254:80',
    'localhost:AUTH',
    'localhost.localdomain:22',
    'node-1.feat@other:22',
  ])('P1 %s is not a way to anywhere', async (address) => {
    let reached = 0
    const listener = createServer(() => reached++)
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const bound = listener.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    const asked = [address.replace('AUTH', String(bench.cluster.ports.auth)), `127.0.0.1:${port}`]
    for (const target of asked) {
      const from = bench.address()
      const subsystem = await bench.ssh('proxy', alice, ['-s', 'target', `proxy:${target}`], { from, input: 'x\r\n' })
      expect(subsystem.code, subsystem.stdout).not.toBe(0)
      expect(subsystem.stdout).not.toMatch(/^HTTP|^SSH/)
      if (target.includes('@')) continue
      const direct = await bench.ssh('proxy', alice, ['-W', target, 'target'], { from, input: 'x\r\n' })
      expect(direct.code).not.toBe(0)
      expect(direct.stdout).toBe('')
    }
    expect(reached).toBe(0)
    listener.close()
    expect(bench.processes()).toEqual(processes)
  })

  test('P1 what was refused is in the audit log', async () => {
    const from = bench.address()
    await bench.ssh('proxy', alice, ['-W', '169.254.169.254:80', 'target'], { from })
    const events = await bench.events('port', { from })
    expect(events[0]).toMatchObject({ code: 'T3003E', user: 'alice', addr: '169.254.169.254:80', success: false })
  })

  test('P2 a node that the roles do not allow is not found, not listed and denied at its own port too', async () => {
    const dave = bench.mint({ keyId: 'dave', roles: ['prod'], logins: [login] })
    const hidden = await bench.ssh('proxy', dave, ['-W', `node-1:${bench.cluster.ports.node}`, 'target'])
    expect(hidden.code).toBe(255)
    expect(hidden.stderr).toContain('not found')
    const direct = await node(dave, ['target', 'echo in'])
    expect(direct.code).toBe(255)
    expect(direct.stdout).toBe('')
    expect((await bench.events('auth', { user: 'dave' })).at(0)).toMatchObject({ code: 'T3007W', login })
    await bench.cluster.addUser('erin', { logins: login, roles: 'prod' })
    const home = await bench.cluster.login('erin')
    const listed = await bench.cluster.tsh(home, ['ls', '--format=json'])
    expect(JSON.parse(listed.stdout)).toEqual([])
    expect((await bench.cluster.tsh(home, ['ssh', `${login}@node-1`, 'echo in'])).stdout).toBe('')
    const asRoot = await node(bench.mint({ logins: [login, 'root'] }), ['target', 'id'], { login: 'root' })
    if (login !== 'root') expect(asRoot).toMatchObject({ code: 255, stdout: '' })
  })

  test('P3 runs nothing, serves no files and forwards nothing for itself', async () => {
    const from = bench.address()
    for (const args of [['target', 'id'], ['target'], ['-tt', 'target', 'id'], ['-s', 'target', 'sftp']]) {
      const result = await bench.ssh('proxy', alice, args, { from })
      expect(result.code, args.join(' ')).not.toBe(0)
      expect(result.stdout, args.join(' ')).not.toContain('uid=')
    }
    const remote = await bench.ssh('proxy', alice, [
      '-o',
      'ExitOnForwardFailure=yes',
      '-N',
      '-R',
      '0:127.0.0.1:1',
      'target',
    ])
    expect(remote.code).toBe(255)
    expect(remote.stderr).toMatch(/forwarding failed/)
    expect(await bench.events('exec', { from })).toContainEqual(
      expect.objectContaining({ command: 'id', exitCode: '255' }),
    )
  })

  test('P6 a PROXY line before SSH is no address', async () => {
    const socket = connect(bench.cluster.ports.proxy, '127.0.0.1')
    socket.write('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nSSH-2.0-x\r\n')
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
    expect(bench.processes()).toEqual(processes)
  })
})

describe('a session without rights', () => {
  const bob = () => bench.mint({ keyId: 'bob', roles: ['plain'], logins: [login] })

  test('S17 no forwarding of any kind, though the certificate says so', async () => {
    const denied = await node(bob(), ['-W', '127.0.0.1:1', 'target'])
    expect(denied.code).toBe(255)
    expect(denied.stderr).toContain('administratively prohibited')
    for (const kind of [
      ['-R', '0:127.0.0.1:1'],
      ['-R', `/tmp/${login}.sock:127.0.0.1:1`],
    ]) {
      const refused = await node(bob(), ['-o', 'ExitOnForwardFailure=yes', '-N', ...kind, 'target'])
      expect(refused.code, kind.join(' ')).toBe(255)
    }
    expect((await bench.events('port', { user: 'bob' })).every(({ success }) => success === false)).toBe(true)
  })

  test('S19 no agent and no X11', async () => {
    const agent = await node(bob(), ['-A', 'target', 'echo "[$SSH_AUTH_SOCK]"'])
    expect(agent.stdout).toBe('[]\n')
    const x11 = await node(bob(), ['-X', 'target', 'echo "[$DISPLAY]"'])
    expect(x11.stdout).toBe('[]\n')
  })
})

describe('a session', () => {
  test('S20 O3 has the environment of a login: nothing of the daemon, nothing but the language from the client', async () => {
    const asked = ['LD_PRELOAD=x', 'BASH_ENV=y', 'NODE_OPTIONS=z', 'PATH=/w', 'LANG=de_DE.UTF-8']
    const result = await node(alice, ['-o', `SetEnv=${asked.join(' ')}`, 'target', 'env'])
    const names = result.stdout.split('\n').map((line) => line.split('=')[0])
    for (const name of ['LD_PRELOAD', 'BASH_ENV', 'NODE_OPTIONS', 'LD_LIBRARY_PATH', 'SECRET_OF_DAEMON']) {
      expect(names).not.toContain(name)
    }
    expect(result.stdout).not.toContain(leaked)
    expect(result.stdout).not.toMatch(/TELEPORT_(?:ROLE|DATA|SSH_TOKEN)/)
    expect(result.stdout).toContain('LANG=de_DE.UTF-8')
    expect(result.stdout).toContain('SSH_TELEPORT_USER=alice')
  })

  test('S20 a terminal whose name could speak to a terminal is refused', async () => {
    const argv = [...bench.sshOptions('node', alice), '-o', `User=${login}`, '-tt', 'target', 'echo "[$TERM]"']
    const result = await run('ssh', argv, { env: { TERM: 'x\u001b]0;title\u0007' } })
    expect(result.code).not.toBe(0)
    expect(result.stdout).not.toContain('title')
    expect(bench.processes()).toEqual(processes)
  })

  test.skipIf(!isRoot)('O1 O2 has the groups of the account, and no way back to root', async () => {
    const sorted = (ids: string) => ids.trim().split(' ').sort().join(' ')
    expect(sorted((await node(alice, ['target', 'id -G'])).stdout)).toBe(
      sorted(execFileSync('id', ['-G', login], { encoding: 'utf8' })),
    )
    const status = (await node(alice, ['target', 'grep -E "^(Uid|Gid|Cap...):" /proc/self/status'])).stdout
    const uid = execFileSync('id', ['-u', login], { encoding: 'utf8' }).trim()
    expect(status).toContain(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`)
    expect(status).toMatch(/CapPrm:\t0+\n/)
    expect(status).toMatch(/CapEff:\t0+\n/)
    const daemon = bench
      .processes()
      .find((entry) => entry.startsWith('node:'))
      ?.slice('node:'.length)
    const data = `${bench.cluster.dir}/data`
    const tries = await node(alice, [
      'target',
      `kill -0 ${daemon}; cat /proc/${daemon}/environ; ls ${data}; cat ${data}/node/identity.json; python3 -c 'import os; os.setuid(0); print("root")'`,
    ])
    expect(tries.stdout).toBe('')
    expect(tries.code).not.toBe(0)
  })

  const strange = ['-froot', '0', 'root ', 'a/../root', 'ro\u043et', '$(id)', 'x'.repeat(10_000)]
  test.each(strange.map((name) => ({ name, shown: name.slice(0, 20) })))(
    'O8 the login $shown is no account',
    async ({ name }) => {
      const credentials = bench.mint({ logins: [login] })
      const argv = [...bench.sshOptions('node', credentials), 'target', 'id']
      const result = await run('ssh', ['-o', `User=${JSON.stringify(name)}`, ...argv])
      expect(result.code).toBe(255)
      expect(result.stdout).toBe('')
      expect(bench.processes()).toEqual(processes)
    },
  )

  test('S14 64 MiB arrive whole while both sides renew their keys every megabyte', async () => {
    const credentials = alice
    const argv = [...bench.sshOptions('node', credentials), '-o', `User=${login}`, '-o', 'RekeyLimit=1M']
    const result = await run('sh', ['-c', 'ssh "$@" "head -c 67108864 /dev/zero" | sha256sum', 'sh', ...argv, 'target'])
    expect(result.stdout).toContain('3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351')
  })

  test('S24 garbage at every port costs its own connection and no memory', async () => {
    const roles = () => bench.processes().map((entry) => entry.split(':')[1] ?? '')
    const resident = () =>
      roles().map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]))
    const before = resident()
    const { auth, proxy, web, node: nodePort } = bench.cluster.ports
    for (const port of [auth, proxy, web, nodePort]) {
      for (let round = 0; round < 10; round++) {
        await Promise.all(Array.from({ length: 20 }, (_, index) => garbage(port, round * 20 + index)))
      }
    }
    expect(bench.processes()).toEqual(processes)
    for (const [index, size] of resident().entries()) expect(size - (before[index] ?? 0)).toBeLessThan(100_000)
    expect((await node(alice, ['target', 'echo in'])).stdout).toBe('in\n')
  })

  test('S24 after all of this, the services are still the processes that were started', async () => {
    expect(bench.processes()).toEqual(processes)
    expect((await node(alice, ['target', 'echo in'])).stdout).toBe('in\n')
  })
})

/** Some beginning that is right, then random bytes, then the end; resolves when the connection is gone. */
function garbage(port: number, variant: number): Promise<void> {
  const beginnings = [
    '',
    'SSH-2.0-x\r\n',
    'SSH-2.0-x\r\n\0\0\x02\x2c\x0a\x14',
    'TELEPORT-PROXY-V1 ',
    '\x16\x03\x01\x02\0\x01',
    'GET / HTTP/1.1\r\n',
  ]
  const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.38.1' })
  socket.on('error', () => undefined)
  socket.resume()
  socket.write(Buffer.from(beginnings[variant % beginnings.length] ?? '', 'latin1'))
  socket.end(randomBytes((variant * 37) % 3000))
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), 2_000)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
