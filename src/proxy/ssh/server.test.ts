import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AccessGuard } from '../../api/access-guard.ts'
import type { ChangeKind } from '../../api/cluster-snapshot.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import type { CertificateTemplate } from '../../ssh/certificate/types.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import type { SshServer } from '../../ssh/server-types.ts'
import { type RunResult, run } from '../../ssh/testing/run.ts'
import { type TempDir, tempDir } from '../../ssh/testing/temp-dir.ts'
import { TestCluster, type TestUser } from '../testing/cluster.ts'
import { createSshSide, type SshSideOptions } from './server.ts'

const alice: TestUser = { name: 'alice', roles: ['dev'], logins: ['alice'] }
const bob: TestUser = { name: 'bob', roles: ['all'], logins: ['bob'] }
const carol: TestUser = { name: 'carol', roles: ['joins'], logins: ['carol'] }
const dave: TestUser = { name: 'dave', roles: ['joins-nobody'], logins: ['dave'] }

let directory: TempDir
let cluster: TestCluster
let proxy: SshServer
let port: number
let web: Awaited<ReturnType<TestCluster['startNode']>>
let prod: Awaited<ReturnType<TestCluster['startNode']>>
let auth: Awaited<ReturnType<TestCluster['startNode']>>
const failures: Parameters<SshSideOptions['audit']['authFailed']>[0][] = []
const refusals: Parameters<SshSideOptions['audit']['refused']>[0][] = []
const ended: Parameters<SshSideOptions['audit']['disconnected']>[0][] = []
const changed = new Set<(kind: ChangeKind, id: string) => void>()
const stopped = new AbortController()
const servers: SshServer[] = []

async function startProxy(more: Partial<SshSideOptions> = {}): Promise<number> {
  const identity = cluster.machine('Proxy', ['proxy', '127.0.0.1'])
  const server = createSshSide({
    state: cluster.state,
    identity: () => identity,
    authServers: [auth.presence.address],
    env: realEnv,
    logger: silentLogger,
    connectTimeoutMs: 3_000,
    serverVersion: '0.1.0',
    clientLimits: { maxConnections: 1000, maxUsers: 100 },
    audit: {
      authFailed: (event) => failures.push(event),
      refused: (event) => refusals.push(event),
      disconnected: (event) => ended.push(event),
    },
    guard: new AccessGuard({
      onChange: (listener) => changed.add(listener),
      staleMs: () => 0,
      env: realEnv,
      logger: silentLogger,
      signal: stopped.signal,
    }),
    ...more,
  })
  servers.push(server)
  proxy = server
  return (await server.listen(0, '127.0.0.1')).port
}

beforeAll(async () => {
  directory = tempDir()
  cluster = new TestCluster(directory.path)
  cluster.addRole('dev', { logins: ['{{internal.logins}}'], node_labels: { env: 'dev' } })
  cluster.addRole('all', { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } })
  cluster.addRole('joins', { join_sessions: [{ name: 'j', roles: ['dev'], modes: ['observer'] }] })
  cluster.addRole('joins-nobody', { join_sessions: [{ name: 'j', roles: [], modes: ['observer'] }] })
  for (const user of [alice, bob, carol, dave]) cluster.addUser(user)
  web = await cluster.startNode('web', { env: 'dev', app: 'shop' })
  prod = await cluster.startNode('prod', { env: 'prod' })
  auth = await cluster.startNode('auth', {}, 'auth')
  servers.push(web.server, prod.server, auth.server)
  port = await startProxy()
})

afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()))
  directory[Symbol.dispose]()
})

beforeEach(() => {
  failures.length = 0
  refusals.length = 0
  web.clients.length = 0
})

const nodePort = (node: typeof web): number => Number(node.presence.address.split(':')[1])
const ssh = (user: TestUser, ...argv: readonly string[]): Promise<RunResult> =>
  run('ssh', [...cluster.openSsh(user, port), ...argv])
const text = (result: RunResult): string => `${result.code} ${result.stdout}${result.stderr}`.trim()

describe('somebody who may join sessions of others', () => {
  const through = (user: TestUser, host: string) => ssh(user, '-J', 'proxy', '-p', '3022', host, 'echo here')

  test('reaches a node by its uuid, though they may not log in there', async () => {
    expect(text(await through(carol, prod.presence.uuid))).toBe('0 here')
  })

  test.each([
    ['by its name', () => 'prod'],
    ['by its label', () => 'env=prod'],
    ['by the uuid with something after it', () => `${prod.presence.uuid}.test`],
  ])('does not find it %s', async (_name, host) => {
    const result = await through(carol, host())
    expect(result.code).toBe(255)
    expect(refusals.at(-1)?.reason).toContain('is not found')
  })

  test('is one whose rule names somebody', async () => {
    const result = await through(dave, prod.presence.uuid)
    expect(result.code).toBe(255)
    expect(refusals.at(-1)?.reason).toContain('is not found')
  })
})

describe('stock OpenSSH reaches a node through the proxy', () => {
  test('with ProxyJump', async () => {
    const result = await ssh(alice, '-J', 'proxy', '-p', String(nodePort(web)), 'web.test', 'echo $((40+2)); exit 7')
    expect(text(result)).toBe('7 42')
  })

  test('with the proxy subsystem and any outer user name', async () => {
    const jump = `ssh -F ${cluster.openSsh(alice, port)[1]} -l whoever -s proxy proxy:%h:%p`
    const result = await ssh(alice, '-o', `ProxyCommand=${jump}`, '-p', '3022', 'web', 'cat', '-n')
    expect(text(result)).toBe('0')
  })

  test.each([
    ['uuid', () => web.presence.uuid],
    ['uuid.cluster', () => `${web.presence.uuid}.test`],
    ['name.cluster', () => 'web.test'],
  ])('by %s, with the host key checked strictly', async (_name, host) => {
    expect(text(await ssh(alice, '-J', 'proxy', '-p', '3022', host(), 'echo here'))).toBe('0 here')
  })

  test('by label', async () => {
    const result = await ssh(alice, '-J', 'proxy', '-p', '3022', '-o', 'HostKeyAlias=web', 'app=shop', 'echo here')
    expect(text(result)).toBe('0 here')
  })

  test('the node is told the true client, not the proxy', async () => {
    await ssh(alice, '-J', 'proxy', '-o', 'BindAddress=127.0.0.1', '-p', '3022', 'web', 'true')
    const direct = connect(port, '127.0.0.1')
    direct.destroy()
    expect(web.clients.length).toBe(1)
    expect(web.clients[0]?.address).toBe('127.0.0.1')
    expect(web.clients[0]?.port).not.toBe(0)
  })

  test('bytes arrive unchanged in both directions, with the end of input', async () => {
    const input = Buffer.alloc(3_000_000, 'teleport ')
    const result = await run(
      'ssh',
      [...cluster.openSsh(alice, port), '-J', 'proxy', '-p', '3022', 'web', 'cat; echo done >&2'],
      { input },
    )
    expect(result.stdout.equals(input)).toBe(true)
    expect(result.stderr.trim()).toBe('done')
  })

  test('the auth service is reached under its own name', async () => {
    const result = await ssh(bob, '-J', 'proxy', '-o', 'HostKeyAlias=auth', 'auth.teleport.api', 'echo auth')
    expect(text(result)).toBe('0 auth')
  })
})

describe('what is not a registered node is not reached', () => {
  test.each(['127.0.0.1:3025', '[::1]:22', '0x7f000001:22', '169.254.169.254:80', 'localhost:22'])(
    '%s',
    async (target) => {
      const sub = await ssh(bob, 'proxy', '-s', `proxy:${target}`)
      expect(text(sub)).toMatch(/^255 teleport: node ".*" is (not found|registered on port)/)
      const forwarded = await run('ssh', [...cluster.openSsh(bob, port), '-W', target, 'proxy'])
      expect(text(forwarded)).toMatch(/^255/)
      expect(refusals.map(({ what }) => what)).toEqual(['subsystem', 'port'])
      expect(refusals[1]).toMatchObject({ user: 'bob', login: 'bob', peer: { address: '127.0.0.1' } })
    },
  )

  test('a listener next to the proxy sees no connection', async () => {
    let connections = 0
    const bystander = createServer(() => connections++)
    await new Promise<void>((resolve) => bystander.listen(0, '127.0.0.1', resolve))
    const address = bystander.address()
    const target = typeof address === 'object' && address !== null ? address.port : 0
    for (const host of ['127.0.0.1', 'localhost', '127.1', '[::ffff:127.0.0.1]', '0x7f000001']) {
      await ssh(bob, 'proxy', '-s', `proxy:${host}:${target}`)
    }
    expect(connections).toBe(0)
    bystander.close()
  })

  test('a forwarded port of the client ends at registered nodes only', async () => {
    const local = await new Promise<number>((resolve) => {
      const free = createServer().listen(0, '127.0.0.1', () => {
        const address = free.address()
        free.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
      })
    })
    const forwards = [`${local}:web:3022`, `${local + 1}:127.0.0.1:3025`, `${local + 2}:/run/dbus/system_bus_socket`]
    const listening = forwards.flatMap((forward) => ['-L', forward])
    const child = spawn('ssh', [...cluster.openSsh(alice, port), '-N', ...listening, 'proxy'], { stdio: 'ignore' })
    try {
      const first = (to: number) =>
        new Promise<string>((resolve) => {
          const socket = connect(to, '127.0.0.1')
          socket.once('data', (data) => resolve(String(data)))
          socket.once('error', () => resolve('no listener'))
          socket.once('close', () => resolve('closed'))
        })
      await expect.poll(() => first(local)).toMatch(/^SSH-2\.0-TestNode/)
      expect(await first(local + 1)).toBe('closed')
      expect(await first(local + 2)).toBe('closed')
    } finally {
      child.kill()
    }
  })

  test('a node that the roles do not allow is not found, and reached by whom they allow', async () => {
    expect(text(await ssh(alice, 'proxy', '-s', 'proxy:prod:3022'))).toBe('255 teleport: node "prod" is not found')
    expect(text(await ssh(alice, 'proxy', '-s', `proxy:${prod.presence.uuid}:0`))).toMatch(/is not found$/)
    expect(text(await ssh(bob, '-J', 'proxy', '-p', '3022', 'prod', 'echo in'))).toBe('0 in')
  })

  test('a registered node that is down is named', async () => {
    const dead = cluster.register({ hostname: 'dead', address: '127.0.0.1:1', labels: { env: 'dev' } })
    expect(text(await ssh(alice, 'proxy', '-s', 'proxy:dead:0'))).toBe(
      `255 teleport: cannot connect to node "dead" at ${dead.address}: connection refused`,
    )
    const forwarded = await ssh(alice, '-o', 'LogLevel=INFO', '-W', 'dead:3022', 'proxy')
    expect(text(forwarded)).toMatch(/open failed: connect failed: cannot connect to node "dead" at /)
    expect(refusals).toEqual([])
  })

  test('a node that registered a foreign address gives no way to it', async () => {
    let heard = ''
    const bystander = createServer((socket) => {
      socket.on('data', (data) => {
        heard += String(data)
      })
      socket.on('error', () => {})
      socket.write('220 mail.example.com ESMTP\r\n')
    })
    await new Promise<void>((resolve) => bystander.listen(0, '127.0.0.1', resolve))
    const address = bystander.address()
    const target = typeof address === 'object' && address !== null ? address.port : 0
    cluster.register({ hostname: 'rogue', address: `127.0.0.1:${target}`, labels: { env: 'dev' } })
    cluster.register({ hostname: 'meta', address: '169.254.169.254:80', labels: { env: 'dev' } })
    const result = await run('ssh', [...cluster.openSsh(alice, port), 'proxy', '-s', 'proxy:rogue:0'], {
      input: 'MAIL FROM:<x>\r\n',
    })
    expect(text(result)).toMatch(/is not the SSH server of node "rogue"/)
    expect(heard).not.toContain('MAIL')
    expect(text(await ssh(alice, 'proxy', '-s', 'proxy:meta:0'))).toMatch(/does not connect to/)
    bystander.close()
  })
})

describe('nothing runs on the proxy', () => {
  test.each([
    ['a command', ['proxy', 'id'], 'exec', 'id'],
    ['a shell', ['-T', 'proxy'], 'exec', ''],
    ['a shell with a terminal', ['-tt', 'proxy'], 'exec', ''],
    ['sftp', ['-s', 'proxy', 'sftp'], 'subsystem', 'sftp'],
  ])('%s', async (_name, argv, what, detail) => {
    const result = await ssh(alice, ...argv)
    expect(result.code).toBe(255)
    expect(result.stderr).toContain('this is a proxy')
    expect(result.stdout.length).toBe(0)
    expect(refusals).toMatchObject([{ what, detail, user: 'alice' }])
  })

  test('it does not listen for the client', async () => {
    const result = await ssh(alice, '-o', 'ExitOnForwardFailure=yes', '-N', '-R', '0:127.0.0.1:1', 'proxy')
    expect(text(result)).toMatch(/^255 .*remote port forwarding failed/i)
  })

  test('the agent of the client is not asked for', async () => {
    const result = await run('ssh', [...cluster.openSsh(alice, port), '-A', '-v', 'proxy', 'id'])
    expect(result.stderr).not.toMatch(/client_request_agent: bind/)
  })
})

describe('only certificates of this cluster are taken', () => {
  const past = (hours: number): Date => new Date(Date.now() + hours * 3_600_000)
  const attempt = async (more: Partial<CertificateTemplate>, user = alice) =>
    text(await run('ssh', [...cluster.openSsh(user, port, more), 'proxy', '-s', 'proxy:web:0']))

  test.each<[string, Partial<CertificateTemplate>, RegExp]>([
    ['expired', { validAfter: past(-3), validBefore: past(-2) }, /expired/],
    ['not yet valid', { validAfter: past(2), validBefore: past(3) }, /valid/],
    ['a host certificate', { type: 'host' }, /host|plain key/],
    ['for other addresses', { criticalOptions: { 'source-address': '10.9.9.9/32' } }, /from 127.0.0.1/],
    ['with an empty address list', { criticalOptions: { 'source-address': '' } }, /from 127.0.0.1/],
    ['with an unknown critical option', { criticalOptions: { 'foo@x': '1' } }, /foo@x/],
    [
      'of another cluster',
      { extensions: { 'teleport-roles': '["dev"]', 'teleport-traits': '{}', 'teleport-route-to-cluster': 'leaf' } },
      /leaf/,
    ],
    ['without a cluster', { extensions: { 'teleport-roles': '["dev"]', 'teleport-traits': '{}' } }, /cluster/],
    ['of a user that is gone', { keyId: 'carol' }, /carol/],
    [
      'with roles that the user does not have',
      { extensions: { 'teleport-roles': '["all"]', 'teleport-traits': '{}', 'teleport-route-to-cluster': 'test' } },
      /roles/,
    ],
  ])('%s', async (_name, more, reason) => {
    expect(await attempt(more)).toMatch(/^255.*Permission denied/)
    expect(failures[0]?.reason).toMatch(reason)
    expect(failures[0]).toMatchObject({ login: 'alice', peer: { address: '127.0.0.1' } })
  })

  test('an unknown extension is no obstacle', async () => {
    const extensions = {
      'teleport-roles': '["dev"]',
      'teleport-traits': '{"logins":["alice"]}',
      'teleport-route-to-cluster': 'test',
      'foo@x': '',
    }
    const argv = [...cluster.openSsh(alice, port, { extensions }), '-J', 'proxy', '-p', '3022', 'web', 'echo in']
    expect(text(await run('ssh', argv))).toBe('0 in')
  })

  test('another authority', async () => {
    const { userAuthority } = cluster
    Object.assign(cluster, { userAuthority: generateEd25519() })
    const argv = cluster.openSsh(alice, port)
    Object.assign(cluster, { userAuthority })
    expect(text(await run('ssh', [...argv, 'proxy', '-s', 'proxy:web:0']))).toMatch(/Permission denied/)
  })

  test('a plain key, and every other method', async () => {
    const config = cluster.openSsh(alice, port)[1] ?? ''
    writeFileSync(config, readFileSync(config, 'utf8').replace(/CertificateFile.*/, ''))
    const argv = ['-F', config]
    expect(text(await run('ssh', [...argv, 'proxy', '-s', 'proxy:web:0']))).toMatch(/Permission denied \(publickey\)/)
    for (const method of ['none', 'password', 'keyboard-interactive', 'hostbased']) {
      const result = await run('ssh', [...argv, '-o', `PreferredAuthentications=${method}`, 'proxy', 'true'])
      expect(text(result)).toMatch(/Permission denied \(publickey\)/)
    }
  })

  test('a role that was taken away counts no more, however long the certificate lives', async () => {
    const carol: TestUser = { name: 'carol', roles: ['dev'], logins: ['carol'] }
    cluster.addUser(carol)
    const argv = [...cluster.openSsh(carol, port), '-J', 'proxy', '-p', '3022', 'web', 'echo in']
    expect(text(await run('ssh', argv))).toBe('0 in')
    cluster.addUser({ ...carol, roles: ['other'] })
    expect(text(await run('ssh', argv))).toMatch(/Permission denied/)
  })
})

describe('connections end when they must', () => {
  test.each(['the cluster', 'a role'])('at the end of the certificate, when %s says so', async (who) => {
    const conditions = { logins: ['{{internal.logins}}'], node_labels: { env: 'dev' } }
    if (who === 'the cluster') cluster.configure({ disconnectExpiredCert: true })
    else cluster.addRole('dev', conditions, { disconnect_expired_cert: true })
    try {
      const more = { validBefore: new Date(Date.now() - 57_000) } // within the skew that a verifier allows
      const argv = cluster.openSsh(alice, port, more)
      const result = await run('ssh', [...argv, '-N', 'proxy'])
      expect(text(result)).toMatch(/certificate has expired|closed/i)
    } finally {
      cluster.configure({})
      cluster.addRole('dev', conditions)
    }
  })

  test('beyond the limit of users, with a message', async () => {
    const limited = await startProxy({ clientLimits: { maxConnections: 1000, maxUsers: 0 } })
    const result = await run('ssh', [...cluster.openSsh(alice, limited), 'proxy', 'true'])
    expect(text(result)).toContain('this proxy already serves 0 users')
  })

  test('beyond the limit of connections, and not after others have left', async () => {
    const limited = await startProxy({ clientLimits: { maxConnections: 1, maxUsers: 10 } })
    const holder = spawn('ssh', [...cluster.openSsh(bob, limited), '-N', 'proxy'], { stdio: 'ignore' })
    const attempt = async () => text(await run('ssh', [...cluster.openSsh(alice, limited), 'proxy', '-s', 'proxy:x:0']))
    await expect.poll(() => proxy.connectionCount).toBe(1)
    await expect.poll(attempt).toContain('this proxy already serves 1 connections')
    holder.kill()
    await expect.poll(attempt).toContain('node "x" is not found')
  })
})

describe('a PROXY line or another first line', () => {
  test.each(['PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n', 'TELEPORT-PROXY-V1 e30\r\n', 'GET / HTTP/1.1\r\n\r\n'])(
    '%j is no way to another address',
    async (line) => {
      const answer = await new Promise<string>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => socket.write(`${line}SSH-2.0-x\r\n`))
        let got = ''
        socket.on('data', (data) => {
          got += String(data)
        })
        socket.on('error', () => {})
        socket.on('close', () => resolve(got))
      })
      expect(answer.split('\r\n')[0]).toMatch(/^(SSH-2\.0-Teleport_0\.1\.0)?$/)
    },
  )
})

describe('a client that stops reading', () => {
  test('stops the node, and the proxy keeps little', async () => {
    const pidFile = directory.file('source.pid')
    const source = `echo $$ > ${pidFile}; exec head -c 400M /dev/zero`
    const child = spawn('ssh', [...cluster.openSsh(alice, port), '-J', 'proxy', '-p', '3022', 'web', source], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await new Promise((resolve) => child.stdout.once('readable', resolve))
    const before = process.memoryUsage().rss
    // What the source has got rid of. It stands still when everything between it and the client is full.
    const written = () => Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1])
    const pid = readFileSync(pidFile, 'utf8').trim()
    let seen = -1
    let still = 0
    await expect
      .poll(
        () => {
          const now = written()
          still = now === seen ? still + 1 : 0
          seen = now
          return still
        },
        { timeout: 20_000, interval: 50 },
      )
      .toBeGreaterThan(10)
    const grown = process.memoryUsage().rss - before
    child.kill('SIGKILL')
    expect(seen).toBeLessThan(64 * 1024 * 1024)
    expect(grown).toBeLessThan(100 * 1024 * 1024)
  })
})
