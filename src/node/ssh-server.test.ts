import { existsSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { signPreamble } from '../api/preamble.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import { run } from '../ssh/testing/run.ts'
import { runningChildren } from './os/reaper.ts'
import { poll } from './testing/poll.ts'
import { alice, me, useNode } from './testing/use-node.ts'

const { node, directory } = useNode()

beforeEach(() => {
  node.events.length = 0
  node.auditProblem = undefined
  node.labels = { env: 'dev' }
  node.addRole(
    'dev',
    { logins: ['{{internal.logins}}', 'no-such-login'], node_labels: { env: 'dev' } },
    { forward_agent: true, port_forwarding: true },
  )
  node.addUser(alice)
})
const ssh = (args: readonly string[], options = {}) => node.ssh(alice, me, args, options)

describe('a command through real ssh', () => {
  test('gives back output, errors and status exactly', async () => {
    const result = await ssh(['cat; echo oops >&2; exit 7'], { input: 'hello' })
    expect({ out: result.stdout.toString(), err: result.stderr, code: result.code }).toEqual({
      out: 'hello',
      err: 'oops\n',
      code: 7,
    })
  })

  test('2 MiB of random bytes come back as they were', async () => {
    const input = node.context.env.randomBytes(2 * 1024 * 1024)
    const result = await ssh(['cat'], { input })
    expect(result.stdout.equals(input)).toBe(true)
  })

  test('a reader that leaves early ends the writer', async () => {
    const result = await ssh(['yes | head -n 2'])
    expect(result.stdout.toString()).toBe('y\ny\n')
  })

  test('has the environment of a login with the session added, and only LANG and LC_* of the client', async () => {
    process.env.DAEMON_SECRET = 'x'
    const flags = ['-o', 'SetEnv=LANG=C.UTF-8 LC_TIME=C LD_PRELOAD=/x BASH_ENV=/y NODE_OPTIONS=--z DAEMON_SECRET=q']
    const result = await ssh([...flags, 'cat /proc/self/environ | tr "\\0" "\\n"'])
    const env = Object.fromEntries(
      result.stdout
        .toString()
        .trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
    expect(env).toMatchObject({
      USER: me,
      LOGNAME: me,
      HOME: userInfo().homedir,
      LANG: 'C.UTF-8',
      LC_TIME: 'C',
      SSH_TELEPORT_USER: 'alice',
      SSH_TELEPORT_CLUSTER_NAME: 'test',
      SSH_TELEPORT_HOST_UUID: node.identity.uuid,
      SSH_SESSION_WEBPROXY_ADDR: 'proxy.test:3080',
    })
    expect(env.SSH_SESSION_ID).toMatch(/^[0-9a-f-]{36}$/)
    expect(env.TELEPORT_SESSION).toBe(env.SSH_SESSION_ID)
    expect(env.SSH_CONNECTION).toMatch(new RegExp(`^127\\.0\\.0\\.1 \\d+ 127\\.0\\.0\\.1 ${node.port}$`))
    for (const name of ['LD_PRELOAD', 'BASH_ENV', 'NODE_OPTIONS', 'DAEMON_SECRET', 'SSH_TTY']) {
      expect(env).not.toHaveProperty(name)
    }
  })

  test('leaves a trail: start, command with its exit code, end, all with one session id', async () => {
    await ssh(['exit 3'])
    await poll(() => node.events.map((event) => event.event)).toEqual([
      'session.start',
      'exec',
      'session.data',
      'session.end',
    ])
    expect(node.events[1]).toMatchObject({
      code: 'T3002E',
      user: 'alice',
      login: me,
      command: 'exit 3',
      exitCode: '3',
      server_id: node.identity.uuid,
    })
    expect(new Set(node.events.map((event) => ('sid' in event ? event.sid : undefined))).size).toBe(1)
  })

  test('that dies by a signal is told apart from an exit', async () => {
    await ssh(['kill -TERM $$'])
    await poll(() => node.events.find((event) => event.event === 'exec')).toMatchObject({
      exitError: 'killed by signal TERM',
    })
  })

  test('is not started when its start cannot be recorded', async () => {
    node.auditProblem = new Error('full')
    const marker = directory.file('marker')
    const result = await ssh([`touch ${marker}`])
    expect(result.code).toBe(254)
    expect(existsSync(marker)).toBe(false)
  })

  test('is not started either when the disk told only late that it is full, from the second time on', async () => {
    const { audit } = node.context
    const full = async () => {
      // The slow disk that is tested: the session has started meanwhile.
      await node.context.env.sleep(100)
      throw new Error('no space left')
    }
    Object.assign(node.context, { audit: full })
    const marker = directory.file('marker')
    await ssh(['true'])
    const result = await ssh([`touch ${marker}`])
    expect(result.code).toBe(254)
    expect(existsSync(marker)).toBe(false)
    Object.assign(node.context, { audit })
    expect((await ssh(['echo again'])).stdout.toString()).toBe('again\n')
  })

  test('is hung up when the client is gone, and nothing of it stays', async () => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    const { spawn } = await import('node:child_process')
    const before = runningChildren()
    const client = spawn('ssh', [flag, config, host, 'echo up; sleep 1000'], { stdio: ['ignore', 'pipe', 'ignore'] })
    await new Promise((resolve) => client.stdout.once('data', resolve))
    expect(node.context.sessions.count).toBe(1)
    client.kill('SIGKILL')
    await poll(() => runningChildren()).toBe(before)
    expect(node.context.sessions.count).toBe(0)
  })

  test('scp works', async () => {
    const file = directory.write('upload', 'content')
    const [, config = ''] = node.openSsh(alice, me)
    const result = await run('scp', ['-F', config, file, `node:${file}.copy`])
    expect(result.stderr).toBe('')
    expect(readFileSync(`${file}.copy`, 'utf8')).toBe('content')
  })

  test('an unknown subsystem is refused', async () => {
    const result = await ssh(['-s', 'netconf'])
    expect(result.code).toBe(255)
  })
})

describe('who may log in', () => {
  const denied = async (args: readonly string[]) => {
    const result = await run('ssh', [...args, 'true'])
    expect(result.code).toBe(255)
    await poll(() => node.events.find((event) => event.event === 'auth')).toBeDefined()
    const event = node.events.find((entry) => entry.event === 'auth')
    expect(event).toMatchObject({
      code: 'T3007W',
      success: false,
      'addr.remote': expect.stringContaining('127.0.0.1:'),
    })
    expect(node.events.some((entry) => entry.event === 'session.start')).toBe(false)
    return { stderr: result.stderr, error: event?.event === 'auth' ? event.error : '' }
  }
  const hours = (count: number) => new Date(node.context.env.now().getTime() + count * 3_600_000)

  test('V1 an expired certificate is refused', async () => {
    const { error } = await denied(node.openSsh(alice, me, { validAfter: hours(-2), validBefore: hours(-1) }))
    expect(error).toContain('expired')
  })
  test('V2 a certificate of the future is refused', async () => {
    await denied(node.openSsh(alice, me, { validAfter: hours(1), validBefore: hours(2) }))
  })
  test('V4 another authority is refused', async () => {
    await denied(node.openSsh(alice, me, {}, generateEd25519()))
  })
  test('V5 a host certificate, and a user certificate of the host authority, are refused', async () => {
    await denied(node.openSsh(alice, me, { type: 'host' }))
    node.events.length = 0
    await denied(node.openSsh(alice, me, {}, node.hostAuthority))
  })
  test('V8 source-address is held against the true client', async () => {
    await denied(node.openSsh(alice, me, { criticalOptions: { 'source-address': '10.9.9.9/32' } }))
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me, {
      criticalOptions: { 'source-address': '127.0.0.0/8' },
    })
    expect((await run('ssh', [flag, config, host, 'true'])).code).toBe(0)
  })
  test('V9 an unknown critical option is refused, an unknown extension is not', async () => {
    await denied(node.openSsh(alice, me, { criticalOptions: { 'foo@x': '1' } }))
  })
  test('a login that is not in the certificate is refused', async () => {
    const { stderr } = await denied(node.openSsh(alice, 'daemon'))
    expect(stderr).toContain('access denied: user "alice" may not log in as "daemon" on node')
    expect(stderr).toContain('no role allows the login "daemon"')
  })
  test('S4 a plain key is refused', async () => {
    const [, config = ''] = node.openSsh(alice, me)
    const files = dirname(config)
    const result = await run('ssh', [
      ...['-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', 'HostKeyAlias=node'],
      ...['-o', `UserKnownHostsFile=${files}/known_hosts`, '-i', `${files}/id`, '-p', String(node.port)],
      ...[`${me}@127.0.0.1`, 'true'],
    ])
    expect(result.code).toBe(255)
    await poll(() => node.events.at(-1)).toMatchObject({ event: 'auth', error: expect.stringContaining('plain key') })
  })
  test('P2 a node whose labels no role allows is refused with a reason', async () => {
    node.labels = { env: 'prod' }
    const { stderr } = await denied(node.openSsh(alice, me))
    expect(stderr).toContain('access denied')
    expect(stderr).toContain('alice')
  })
  test('S17 a login that does not exist is refused', async () => {
    const { error } = await denied(node.openSsh({ ...alice, logins: ['no-such-login'] }, 'no-such-login'))
    expect(error).toContain('no account')
  })
  test.each(['0', 'a/../root', 'ro\u043et'])('O8 the login %j is refused', async (login) => {
    const args = node.openSsh({ ...alice, logins: [login] }, me)
    await denied(['-o', `User=${JSON.stringify(login)}`, ...args])
  })
  test('V18 a user who was removed is refused, on an open connection too', async () => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    const socket = directory.file('mux')
    const master = ['-o', 'ControlMaster=auto', '-o', `ControlPath=${socket}`, '-o', 'ControlPersist=60']
    expect((await run('ssh', [flag, config, ...master, host, 'true'])).code).toBe(0)
    node.removeUser('alice')
    const again = await run('ssh', [flag, config, ...master, host, 'true'])
    expect(again.code).toBe(254)
    expect(again.stderr).toContain('does not exist any more')
    await run('ssh', [flag, config, '-o', `ControlPath=${socket}`, '-O', 'exit', host])
  })
})

describe('a client of the proxy', () => {
  const fronts: Server[] = []
  afterAll(() => {
    for (const front of fronts) front.close()
  })

  /** What a proxy does: one signed line about the client, then the client's own bytes. Gives the port. */
  async function front(line: () => Promise<string>): Promise<number> {
    const server = createServer(async (client) => {
      client.on('error', () => {})
      const upstream = connect(node.port, '127.0.0.1')
      upstream.on('error', () => client.destroy())
      upstream.write(await line())
      client.pipe(upstream).pipe(client)
    }).listen(0, '127.0.0.1')
    fronts.push(server)
    await new Promise((resolve) => server.once('listening', resolve))
    return (server.address() as AddressInfo).port
  }
  const through = (port: number, criticalOptions = {}) => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me, { criticalOptions })
    return run('ssh', [flag, config, '-p', String(port), host, 'echo $SSH_CLIENT'])
  }
  const client = { address: '10.9.9.9', port: 4711 }

  test('V8 is known by its own address, in the session, the rules and the audit log', async () => {
    const proxy = node.machine('Proxy', ['proxy'])
    const port = await front(() => signPreamble(proxy, client, node.identity.uuid))
    const result = await through(port, { 'source-address': '10.9.9.0/24' })
    expect(result.stdout.toString()).toBe(`10.9.9.9 4711 ${node.port}\n`)
    expect(node.events[0]).toMatchObject({ 'addr.remote': '10.9.9.9:4711' })
    expect((await through(port, { 'source-address': '127.0.0.1/32' })).code).toBe(255)
  })

  test.each([
    { name: 'another machine than a proxy', role: 'Node' as const, target: (): string => node.identity.uuid },
    {
      name: 'a proxy that speaks to another node',
      role: 'Proxy' as const,
      target: (): string => '00000000-0000-4000-8000-000000000000',
    },
  ])('P6 $name is not believed', async ({ role, target }) => {
    const machine = node.machine(role, ['x'])
    const port = await front(() => signPreamble(machine, client, target()))
    expect((await through(port)).code).toBe(255)
  })

  test('P6 a PROXY line of a load balancer is not believed', async () => {
    const port = await front(async () => 'PROXY TCP4 10.9.9.9 127.0.0.1 4711 22\r\n')
    expect((await through(port)).code).toBe(255)
  })
})

describe('odd requests', () => {
  test('S20 a thousand variables and odd names reach no program', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => `V${i}=1`).join(' ')
    const result = await ssh(['-o', `SetEnv=LC_A=1 ${many}`, 'env | grep -cE "^(LC_A|V[0-9]+)="'])
    expect(result.stdout.toString()).toBe('1\n')
  })

  test('S23 errors after the end of the output arrive', async () => {
    const result = await ssh(['exec >&-; sleep 0.1; echo late >&2'])
    expect(result.stderr).toBe('late\n')
    expect(result.code).toBe(0)
  })

  test('a command that leaves a program with its output open ends when that program does', async () => {
    const result = await ssh(['(sleep 0.3; echo last) & exit 4'])
    expect(result.stdout.toString()).toBe('last\n')
    expect(result.code).toBe(4)
  })

  test('a client that closes its output ends the writer', async () => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    const result = await run('sh', ['-c', `ssh ${flag} ${config} ${host} 'yes' | head -n 1`])
    expect(result.stdout.toString()).toBe('y\n')
    await poll(() => node.context.sessions.count).toBe(0)
  })
})
