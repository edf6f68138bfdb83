import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { userInfo } from 'node:os'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { run } from '../../ssh/testing/run.ts'
import { type TempDir, tempDir } from '../../ssh/testing/temp-dir.ts'
import { poll } from '../testing/poll.ts'
import { TestNode, type TestUser } from '../testing/test-node.ts'

const me = userInfo().username
const alice: TestUser = { name: 'alice', roles: ['dev'], logins: [me] }
let directory: TempDir
let node: TestNode
let echo: Server
let echoPort: number
const clients: ChildProcess[] = []
let counter = 0

beforeAll(async () => {
  directory = tempDir()
  node = new TestNode(directory.path)
  await node.listen()
  node.addUser(alice)
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
    client.kill()
    await new Promise((resolve) =>
      client.exitCode === null && client.signalCode === null ? client.once('close', resolve) : resolve(0),
    )
  }
})
afterAll(async () => {
  echo.close()
  await node.server.close()
  directory[Symbol.dispose]()
})

const role = (forwarding: boolean): unknown =>
  node.addRole(
    'dev',
    { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } },
    { port_forwarding: forwarding, forward_agent: forwarding },
  )
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
    client.kill()
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
    client.kill()
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
