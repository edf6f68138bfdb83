import { createHash, randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectSsh } from './client.ts'
import type { SshClient } from './client-types.ts'
import { ChannelOpenError } from './connection/types.ts'
import { generateEd25519 } from './keys/private-key.ts'
import { dial, type ProcessServer, startProcessServer } from './testing/process-server.ts'

const key = generateEd25519()
let target: ProcessServer
let client: SshClient

async function login(): Promise<SshClient> {
  return connectSsh({
    stream: await dial({ host: '127.0.0.1', port: target.port }),
    user: 'me',
    ident: 'TestClient_1',
    verifyHost: ({ publicKey }) => {
      if (!publicKey.blob.equals(target.hostKey.publicKey.blob)) throw new Error('wrong host key')
    },
    identities: [{ signer: key }],
  })
}

const collect = (stream: Readable): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => resolve(Buffer.concat(chunks)))
    stream.on('error', reject)
  })

beforeAll(async () => {
  target = await startProcessServer({ userKeys: [key.publicKey] })
  client = await login()
})
afterAll(async () => {
  await client.close()
  await target.server.close()
})

describe('our client at our server', () => {
  test('runs a command: output, errors, exit status', async () => {
    const session = await client.openSession()
    session.setEnv('TEST_WORD', 'salt')
    const started = session.exec('printf "$TEST_WORD"; printf pepper >&2; exit 3')
    const output = await Promise.all([collect(session.channel), collect(session.stderr)])
    await started
    expect(output.map(String)).toEqual(['salt', 'pepper'])
    expect(await session.exited).toEqual({ kind: 'exit', status: 3 })
  })

  test('waits for the exit status after everything else has ended', async () => {
    const session = await client.openSession()
    await session.exec('exec >/dev/null 2>&1 </dev/null; sleep 0.2; exit 6')
    session.channel.resume()
    session.stderr.resume()
    session.channel.end()
    expect(await session.exited).toEqual({ kind: 'exit', status: 6 })
  })

  test('reports the signal that ended a command', async () => {
    const session = await client.openSession()
    await session.exec('kill -TERM $$')
    session.channel.resume()
    session.stderr.resume()
    expect(await session.exited).toMatchObject({ kind: 'signal', signal: 'TERM' })
  })

  test('delivers signals', async () => {
    const session = await client.openSession()
    await session.exec('trap "exit 9" USR1; echo ready; while :; do read line; done')
    session.stderr.resume()
    await new Promise((resolve) => session.channel.once('data', resolve))
    session.channel.resume()
    session.signal('USR1')
    session.channel.end()
    expect(await session.exited).toEqual({ kind: 'exit', status: 9 })
  })

  test('carries 10 MB through a command unchanged', async () => {
    const session = await client.openSession()
    await session.exec('cat')
    session.stderr.resume()
    const data = randomBytes(10_000_000)
    const back = collect(session.channel)
    session.channel.end(data)
    const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
    expect(digest(await back)).toBe(digest(data))
    expect(await session.exited).toEqual({ kind: 'exit', status: 0 })
  })

  test('gives a terminal of the size asked for', async () => {
    const session = await client.openSession()
    const pty = { term: 'vt100', columns: 101, rows: 33, widthPixels: 0, heightPixels: 0, modes: new Map() }
    await session.requestPty(pty)
    await session.exec('stty size; echo $TERM')
    session.stderr.resume()
    expect((await collect(session.channel)).toString()).toBe('33 101\r\nvt100\r\n')
  })

  test('refuses an unknown subsystem, and the session can still be used', async () => {
    const session = await client.openSession()
    await expect(session.subsystem('nothing')).rejects.toThrow('refused the subsystem "nothing"')
    await session.subsystem('echo')
    session.stderr.resume()
    const back = collect(session.channel)
    session.channel.end('still there')
    expect((await back).toString()).toBe('still there')
  })

  test('forwards to a port and to a refused port', async () => {
    const through = await client.openDirectTcpip('127.0.0.1', target.port)
    const line = await new Promise<Buffer>((resolve) => through.once('data', resolve))
    expect(line.toString()).toMatch(/^SSH-2\.0-TestServer_1\r\n/)
    through.destroy()
    await expect(client.openDirectTcpip('127.0.0.1', 1)).rejects.toBeInstanceOf(ChannelOpenError)
  })

  test('runs SSH inside SSH', async () => {
    const stream = await client.openDirectTcpip('127.0.0.1', target.port)
    await using inner = await connectSsh({
      stream,
      user: 'me',
      ident: 'TestClient_1',
      verifyHost: () => {},
      identities: [{ signer: key }],
    })
    const session = await inner.openSession()
    await session.exec('echo deep')
    session.stderr.resume()
    expect((await collect(session.channel)).toString()).toBe('deep\n')
  })

  test('measures the round trip', async () => {
    expect(await client.ping()).toBeGreaterThan(0)
  })

  test('limits sessions and channels', async () => {
    const opened = await Promise.allSettled(Array.from({ length: 12 }, () => client.openSession()))
    expect(opened.filter(({ status }) => status === 'fulfilled')).toHaveLength(10)
    for (const entry of opened) if (entry.status === 'fulfilled') entry.value.channel.destroy()
    const again = await client.openSession()
    again.channel.destroy()
  })

  test('closing ends everything without leaving anything behind', async () => {
    const other = await login()
    const session = await other.openSession()
    await session.exec('sleep 100')
    const closed = new Promise((resolve) => session.channel.once('close', resolve))
    const before = target.connections.size
    await other.close()
    await closed
    expect(other.signal.aborted).toBe(true)
    await expect.poll(() => target.connections.size).toBe(before - 1)
  })

  test('an unknown key is refused', async () => {
    const stream = await dial({ host: '127.0.0.1', port: target.port })
    const identities = [{ signer: generateEd25519() }]
    const attempt = connectSsh({ stream, user: 'me', ident: 'TestClient_1', verifyHost: () => {}, identities })
    await expect(attempt).rejects.toThrow()
    expect(target.failures).toContain('unknown key')
  })
})
