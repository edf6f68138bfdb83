/** Our client at every foreign server, with each cipher, MAC and key exchange they share. */

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectSsh } from '../client.ts'
import type { SshClient, SshClientOptions } from '../client-types.ts'
import { generateEd25519 } from '../keys/private-key.ts'
import { type ForeignServer, foreignServers, type RunningServer } from '../testing/foreign-servers.ts'
import { dial } from '../testing/process-server.ts'
import type { AlgorithmPreferences } from '../transport/types.ts'

const key = generateEd25519()

async function login(server: RunningServer, more: Partial<SshClientOptions> = {}): Promise<SshClient> {
  return connectSsh({
    stream: await dial({ host: '127.0.0.1', port: server.port }),
    user: server.user,
    ident: 'TestClient_1',
    verifyHost: ({ publicKey }) => {
      if (!publicKey.blob.equals(server.hostKey.publicKey.blob)) throw new Error('wrong host key')
    },
    identities: [{ signer: key }],
    ...more,
  })
}

const collect = (stream: Readable): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => resolve(Buffer.concat(chunks)))
    stream.on('error', reject)
  })

async function exec(
  client: SshClient,
  command: string,
  input: Buffer | string = '',
): Promise<[Buffer, string, unknown]> {
  const session = await client.openSession()
  const started = session.exec(command)
  const streams = Promise.all([collect(session.channel), collect(session.stderr)])
  session.channel.end(input)
  await started
  const [output, errors] = await streams
  return [output, errors.toString(), await session.exited]
}

const rowsOf = (server: ForeignServer): { name: string; algorithms: Partial<AlgorithmPreferences> }[] => [
  { name: 'what both like best', algorithms: {} },
  ...server.ciphers.map((name) => ({ name, algorithms: { ciphers: [name] } as never })),
  ...server.macs.map((name) => ({ name, algorithms: { ciphers: ['aes256-ctr'], macs: [name] } as never })),
  ...server.kexes.map((name) => ({ name, algorithms: { kex: [name] } as never })),
]

describe.each(foreignServers)('$name', (server) => {
  let running: RunningServer

  beforeAll(async () => {
    running = await server.start(key)
  })
  afterAll(async () => {
    await running.stop()
  })

  test.each(rowsOf(server))('$name', async ({ algorithms }) => {
    await using client = await login(running, { algorithms })
    const input = randomBytes(300_000)
    const [output, errors, exit] = await exec(client, 'cat; echo problem >&2; exit 5', input)
    expect(output.equals(input)).toBe(true)
    expect(errors).toContain('problem\n')
    expect(exit).toEqual({ kind: 'exit', status: 5 })
  })

  test('10 MB each way unchanged, with new keys under way', async () => {
    await using client = await login(running, { limits: { rekeyBytes: 2_000_000 } })
    const input = randomBytes(10_000_000)
    const [output] = await exec(client, 'cat', input)
    expect(createHash('sha256').update(output).digest('hex')).toBe(createHash('sha256').update(input).digest('hex'))
  })

  /* No command ends before all have begun: Dropbear before 2025.87 closes a session that has no command yet when another's ends. */
  test('several sessions at a time', async () => {
    await using client = await login(running)
    const all = await Promise.all(Array.from({ length: 8 }, () => client.openSession()))
    const outputs = all.map(({ channel, stderr }) => {
      stderr.resume()
      return collect(channel)
    })
    await Promise.all(all.map((session, index) => session.exec(`cat; echo ${index}`)))
    for (const { channel } of all) channel.end('of ')
    expect((await Promise.all(outputs)).map(String)).toEqual(all.map((_, index) => `of ${index}\n`))
  })
})

describe.each(foreignServers.filter(({ full }) => full))('$name in full', (server) => {
  let running: RunningServer
  let directory: string

  beforeAll(async () => {
    running = await server.start(key)
    directory = mkdtempSync(join(tmpdir(), 'fwd-'))
  })
  afterAll(async () => {
    await running.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('a terminal, its size and a change of it', async () => {
    await using client = await login(running)
    const session = await client.openSession()
    const size = { columns: 99, rows: 31, widthPixels: 0, heightPixels: 0 }
    const pty = session.requestPty({ term: 'vt100', ...size, modes: new Map([[53, 0]]) })
    const started = session.exec('stty size; read line; stty size; echo $TERM')
    session.stderr.resume()
    const output = collect(session.channel)
    await Promise.all([pty, started])
    await new Promise((resolve) => session.channel.once('data', resolve))
    session.windowChange({ ...size, columns: 55 })
    session.channel.write('\n')
    expect((await output).toString()).toBe('31 99\r\n31 55\r\nvt100\r\n')
  })

  test('environment and death by a signal', async () => {
    await using client = await login(running)
    const session = await client.openSession()
    session.setEnv('TEST_X', 'y')
    const started = session.exec('echo $TEST_X; kill -TERM $$')
    session.stderr.resume()
    expect((await collect(session.channel)).toString()).toBe('y\n')
    await started
    expect(await session.exited).toMatchObject({ kind: 'signal', signal: 'TERM' })
  })

  test('forwards: to a port, to a socket, from a port, from a socket', async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
    const path = join(directory, 'target.sock')
    await new Promise<void>((resolve) => echo.listen(path, resolve))
    let origin = ''
    await using client = await login(running, {
      onForwardedTcpip: (_bound, from) => {
        origin = from.address
        return dial({ path })
      },
      onForwardedStreamlocal: () => dial({ path }),
    })
    const through = await client.openDirectStreamlocal(path)
    through.end('socket')
    expect((await collect(through)).toString()).toBe('socket')
    const ssh = await client.openDirectTcpip('127.0.0.1', running.port)
    expect(String(await new Promise((resolve) => ssh.once('data', resolve)))).toMatch(/^SSH-2\.0-/)
    ssh.destroy()

    const port = await client.requestTcpipForward('127.0.0.1', 0)
    const tcp = await dial({ host: '127.0.0.1', port })
    tcp.end('port')
    expect((await collect(tcp)).toString()).toBe('port')
    expect(origin).toBe('127.0.0.1')
    await client.cancelTcpipForward('127.0.0.1', port)
    await expect(dial({ host: '127.0.0.1', port })).rejects.toThrow()

    const remote = join(directory, 'remote.sock')
    await client.requestStreamlocalForward(remote)
    const unix = await dial({ path: remote })
    unix.end('back')
    expect((await collect(unix)).toString()).toBe('back')
    await client.cancelStreamlocalForward(remote)
    echo.close()
  })

  test('what the server refuses is said', async () => {
    await using client = await login(running)
    await expect(client.openDirectTcpip('127.0.0.1', 1)).rejects.toMatchObject({ failure: 'connect-failed' })
    const session = await client.openSession()
    await expect(session.subsystem('nothing')).rejects.toThrow('refused the subsystem')
  })

  test('a keepalive round trip', async () => {
    await using client = await login(running, { keepAlive: { intervalMs: 5, maxMissed: 10_000 } })
    for (let turn = 0; turn < 5; turn++) expect(await client.ping()).toBeGreaterThan(0)
  })
})
