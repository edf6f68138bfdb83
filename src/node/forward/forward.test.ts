import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { run } from '../../ssh/testing/run.ts'
import { poll } from '../testing/poll.ts'
import { alice, everyNode, me, useNode } from '../testing/use-node.ts'

const { node, directory } = useNode()
let echo: Server
let echoPort: number
const clients: ChildProcess[] = []
let counter = 0

beforeAll(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  await new Promise((resolve) => echo.once('listening', resolve))
  echoPort = (echo.address() as AddressInfo).port
})
beforeEach(() => {
  node.events.length = 0
  role(true)
})
afterEach(async () => {
  for (const client of clients.splice(0)) {
    // Not TERM: `ssh` that gets it on the way into its poll goes on waiting.
    client.kill('SIGKILL')
    await new Promise((resolve) =>
      client.exitCode === null && client.signalCode === null ? client.once('close', resolve) : resolve(0),
    )
  }
})
afterAll(async () => {
  echo.close()
})

const role = (forwarding: boolean, ...targets: string[]): unknown =>
  node.addRole('dev', everyNode, { port_forwarding: forwarding, forward_agent: forwarding, forward_to: targets })
const path = (): string => directory.file(`s${counter++}`)

/** `ssh -N` with forwards; resolves once they stand, or rejects with what ssh said. */
async function forward(...flags: string[]): Promise<ChildProcess> {
  const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
  const client = spawn('ssh', [flag, config, '-v', '-o', 'ExitOnForwardFailure=yes', '-N', ...flags, host], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  clients.push(client)
  let said = ''
  await new Promise<void>((resolve, reject) => {
    client.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (/Entering interactive session|pledge: /.test(said) && !flags.includes('-R')) resolve()
      if (/remote forward success|All remote forwarding requests processed/.test(said)) resolve()
    })
    client.once('close', () => reject(new Error(said)))
  })
  return client
}
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
/** IPv4 addresses in the kernel's hexadecimal form. */
function listeningAddresses(port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  return rows.flatMap(([, local = '', , state]) =>
    state === '0A' && local.endsWith(suffix) ? [local.slice(0, 8)] : [],
  )
}
function exchange(target: { port: number; host: string } | { path: string }, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, allowHalfOpen: true })
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
    socket.end(text)
  })
}

describe('forwards of an allowed user', () => {
  test('-L reaches a port of the node, with half close', async () => {
    const port = await freePort()
    await forward('-L', `127.0.0.1:${port}:127.0.0.1:${echoPort}`)
    expect(await exchange({ port, host: '127.0.0.1' }, 'ping')).toBe('ping')
    expect(node.events).toContainEqual(
      expect.objectContaining({ event: 'port', code: 'T3003I', addr: `127.0.0.1:${echoPort}` }),
    )
  })

  test('-L by name, and a port where nobody listens', async () => {
    const port = await freePort()
    const closed = await freePort()
    await forward('-L', `127.0.0.1:${port}:localhost:${echoPort}`)
    expect(await exchange({ port, host: '127.0.0.1' }, 'ping')).toBe('ping')
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    const result = await run('ssh', [flag, config, '-W', `127.0.0.1:${closed}`, host])
    expect(result.code).toBe(255)
    await poll(() => node.events.find((event) => event.event === 'port' && !event.success)).toMatchObject({
      code: 'T3003E',
      error: expect.stringContaining('refused'),
    })
  })

  test('-W carries a stream', async () => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    const result = await run('ssh', [flag, config, '-W', `127.0.0.1:${echoPort}`, host], { input: 'through' })
    expect(result.stdout.toString()).toBe('through')
  })

  test('-L to a unix socket, and -L from one', async () => {
    const target = path()
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(target)
    const local = path()
    await forward('-L', `${local}:${target}`)
    expect(await exchange({ path: local }, 'ping')).toBe('ping')
    server.close()
  })

  test('-R brings a port of the node to the client, on loopback only, and ends with the connection', async () => {
    const port = await freePort()
    const client = await forward('-R', `0.0.0.0:${port}:127.0.0.1:${echoPort}`)
    expect(await exchange({ port, host: '127.0.0.1' }, 'ping')).toBe('ping')
    expect(listeningAddresses(port)).toEqual(['0100007F'])
    // Not TERM: `ssh` that gets it on the way into its poll goes on waiting.
    client.kill('SIGKILL')
    await poll(() => exchange({ port, host: '127.0.0.1' }, 'x').catch(() => 'closed')).toBe('closed')
  })

  test('-R with port 0 tells the port', async () => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    const result = await run('ssh', [
      flag,
      config,
      '-o',
      'LogLevel=INFO',
      '-R',
      `0:127.0.0.1:${echoPort}`,
      host,
      'sleep 0',
    ])
    expect(result.stderr).toMatch(/Allocated port \d+ for remote forward/)
  })

  test('-R of a unix socket is private to the user and gone afterwards', async () => {
    const remote = path()
    const client = await forward('-R', `${remote}:127.0.0.1:${echoPort}`)
    expect(statSync(remote).mode & 0o777).toBe(0o600)
    expect(await exchange({ path: remote }, 'ping')).toBe('ping')
    // Not TERM: `ssh` that gets it on the way into its poll goes on waiting.
    client.kill('SIGKILL')
    await poll(() => existsSync(remote)).toBe(false)
  })

  test('-R does not replace a file', async () => {
    const file = directory.write('precious', 'x')
    await expect(forward('-R', `${file}:127.0.0.1:${echoPort}`)).rejects.toThrow()
    expect(statSync(file).isFile()).toBe(true)
  })

  test('-D is a SOCKS proxy', async () => {
    const port = await freePort()
    await forward('-D', `127.0.0.1:${port}`)
    const socket = connect(port, '127.0.0.1')
    socket.write(Buffer.from([5, 1, 0]))
    await new Promise((resolve) => socket.once('data', resolve))
    socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, echoPort >> 8, echoPort & 0xff]))
    await new Promise((resolve) => socket.once('data', resolve))
    const answer = new Promise<Buffer>((resolve) => socket.once('data', resolve))
    socket.write('socks')
    expect((await answer).toString()).toBe('socks')
    socket.destroy()
  })

  test('the agent is reached through a private socket that is gone afterwards', async () => {
    const agent = path()
    clients.push(spawn('ssh-agent', ['-D', '-a', agent], { stdio: 'ignore' }))
    await poll(() => existsSync(agent)).toBe(true)
    const key = directory.file(`key${counter++}`)
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'in-agent', '-f', key])
    await run('ssh-add', ['-q', key], { env: { SSH_AUTH_SOCK: agent } })
    const command = 'echo $SSH_AUTH_SOCK; stat -c %a:%U $SSH_AUTH_SOCK $(dirname $SSH_AUTH_SOCK); ssh-add -l'
    const result = await node.ssh(alice, me, ['-A', command], { env: { SSH_AUTH_SOCK: agent } })
    const [socket = '', file, folder, listing] = result.stdout.toString().split('\n')
    expect([file, folder]).toEqual([`600:${me}`, `700:${me}`])
    expect(listing).toContain('in-agent')
    await poll(() => existsSync(socket)).toBe(false)
  })
})

test.each(['-W', '-R'])('%s is refused when it cannot be recorded', async (kind) => {
  role(true)
  node.auditProblem = new Error('full')
  const port = await freePort()
  const flags = kind === '-W' ? ['-W', `127.0.0.1:${echoPort}`] : ['-N', '-R', `${port}:127.0.0.1:${echoPort}`]
  const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
  const result = await run('ssh', [flag, config, '-o', 'ExitOnForwardFailure=yes', ...flags, host], { input: 'ping' })
  node.auditProblem = undefined
  expect(result.code).toBe(255)
  expect(result.stdout.toString()).toBe('')
  expect(listeningAddresses(port)).toEqual([])
})

describe('S17 without permission', () => {
  test.each(['-L', '-R', '-D'])('%s is refused', async (kind) => {
    role(false)
    const port = await freePort()
    if (kind === '-R') {
      await expect(forward('-R', `${port}:127.0.0.1:${echoPort}`)).rejects.toThrow()
    } else {
      await forward(kind, kind === '-D' ? `127.0.0.1:${port}` : `127.0.0.1:${port}:127.0.0.1:${echoPort}`)
      const text = kind === '-D' ? Buffer.from([5, 1, 0]).toString('latin1') : 'ping'
      const answer = await exchange({ port, host: '127.0.0.1' }, text).catch(() => '')
      expect(answer).not.toContain('ping')
    }
    if (kind !== '-D')
      await poll(() => node.events.find((event) => event.event === 'port')).toMatchObject({ success: false })
  })

  test('-W says that it is prohibited', async () => {
    role(false)
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    const result = await run('ssh', [flag, config, '-o', 'LogLevel=INFO', '-W', `127.0.0.1:${echoPort}`, host])
    expect(result.code).toBe(255)
    expect(result.stderr).toContain('administratively prohibited')
  })

  test('S19 no agent', async () => {
    role(false)
    const result = await node.ssh(alice, me, ['-A', 'echo "[$SSH_AUTH_SOCK]"'])
    expect(result.stdout.toString()).toBe('[]\n')
  })
})

const ports = () => node.events.filter((event) => event.event === 'port')

describe('what the audit log has', () => {
  const common = () => ({
    user: 'alice',
    login: me,
    server_id: node.identity.uuid,
    'addr.remote': expect.stringMatching(/^127\.0\.0\.1:\d+$/),
  })

  test('of a connection to a name: what was asked for, and what was reached', async () => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    await run('ssh', [flag, config, '-W', `localhost:${echoPort}`, host], { input: 'x' })
    expect(ports()).toEqual([
      expect.objectContaining({
        ...common(),
        code: 'T3003I',
        direction: 'local',
        addr: `localhost:${echoPort}`,
        resolved: `127.0.0.1:${echoPort}`,
      }),
    ])
    expect(ports()[0]).not.toHaveProperty('warning')
  })

  test('of -R: the listener, and each connection with where it came from', async () => {
    const port = await freePort()
    await forward('-R', `${port}:127.0.0.1:${echoPort}`)
    await exchange({ port, host: '127.0.0.1' }, 'ping')
    const addr = `localhost:${port}`
    await poll(() => ports().length).toBe(2)
    expect(ports()[0]).toMatchObject({ ...common(), code: 'T3003I', direction: 'remote', addr })
    expect(ports()[0]).not.toHaveProperty('origin')
    expect(ports()[1]).toMatchObject({
      code: 'T3003I',
      direction: 'remote',
      addr,
      origin: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    })
  })

  test('of a -R listener once the role is gone: a refusal for each connection, and nothing gets through', async () => {
    const port = await freePort()
    await forward('-R', `${port}:127.0.0.1:${echoPort}`)
    role(false)
    expect(await exchange({ port, host: '127.0.0.1' }, 'ping').catch(() => '')).toBe('')
    await poll(() => ports().at(-1)).toMatchObject({
      code: 'T3003E',
      error: 'port forwarding is not permitted by your roles',
    })
  })

  test('of unix sockets, both ways', async () => {
    const remote = path()
    await forward('-R', `${remote}:127.0.0.1:${echoPort}`)
    await exchange({ path: remote }, 'ping')
    await poll(() => ports().length).toBe(2)
    expect(ports()).toMatchObject([
      { success: true, addr: remote },
      { success: true, addr: remote, origin: remote },
    ])
    node.events.length = 0
    const local = path()
    await forward('-L', `${local}:${path()}`)
    await exchange({ path: local }, 'x').catch(() => '')
    await poll(() => ports()).toMatchObject([
      { code: 'T3003E', direction: 'local', error: expect.stringContaining('no such') },
    ])
  })

  test('a warning, where the target is an SSH server: whoever goes on from there is not recorded', async () => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    await run('ssh', [flag, config, '-W', `127.0.0.1:${node.port}`, host], { input: 'SSH-2.0-x\r\n' })
    await poll(() => ports().map((event) => event.event === 'port' && event.warning)).toEqual([
      undefined,
      expect.stringContaining('not recorded'),
    ])
  })
})

describe('S18 forward_to', () => {
  const dial = async (target: string) => {
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    return await run('ssh', [flag, config, '-o', 'LogLevel=INFO', '-W', target, host], { input: 'ping' })
  }

  test.each([
    { name: 'an address in a block', rules: () => ['127.0.0.0/8:*'], target: () => `127.0.0.1:${echoPort}`, ok: true },
    { name: 'a name, by its address', rules: () => ['127.0.0.0/8:*'], target: () => `localhost:${echoPort}`, ok: true },
    {
      name: 'a name, by its name',
      rules: () => [`localhost:${echoPort}`],
      target: () => `localhost:${echoPort}`,
      ok: true,
    },
    {
      name: 'the address of an allowed name',
      rules: () => [`localhost:${echoPort}`],
      target: () => `127.0.0.1:${echoPort}`,
      ok: false,
    },
    { name: 'another port', rules: () => ['127.0.0.1:1'], target: () => `127.0.0.1:${echoPort}`, ok: false },
    {
      name: 'another spelling of the address',
      rules: () => ['10.0.0.0/8:*'],
      target: () => `127.1:${echoPort}`,
      ok: false,
    },
  ])('$name: $ok', async ({ rules, target, ok }) => {
    role(true, ...rules())
    const result = await dial(target())
    expect(result.stdout.toString()).toBe(ok ? 'ping' : '')
    if (ok) return
    expect(result.stderr).toContain('administratively prohibited')
    expect(result.stderr).toContain('forward_to')
    expect(ports()).toMatchObject([{ code: 'T3003E', addr: target(), error: expect.stringContaining('forward_to') }])
  })

  test('a socket is judged by where its links lead', async () => {
    const [real, link] = [path(), path()]
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(real)
    symlinkSync(real, link)
    const through = async (target: string): Promise<string> => {
      const local = path()
      await forward('-L', `${local}:${target}`)
      return await exchange({ path: local }, 'ping').catch(() => '')
    }
    role(true, link)
    expect(await through(link)).toBe('')
    role(true, real)
    expect(await through(link)).toBe('ping')
    role(true, '*:*')
    expect(await through(real)).toBe('')
    server.close()
  })
})
