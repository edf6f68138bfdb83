/** What the server does before and around logins: limits, early drop, preamble, draining, sockets cut in every state. */

import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { realEnv } from '../common/env.ts'
import { connectSsh } from './client.ts'
import type { SshClient, SshClientOptions } from './client-types.ts'
import { generateEd25519 } from './keys/private-key.ts'
import { createSshServer } from './server.ts'
import type { SshServerOptions } from './server-types.ts'
import { duplexPipe } from './testing/pipe.ts'
import { dial, type ProcessServer, type ProcessServerOptions, startProcessServer } from './testing/process-server.ts'

const key = generateEd25519()
let target: ProcessServer | undefined

const start = async (options: Partial<ProcessServerOptions> = {}): Promise<ProcessServer> => {
  target = await startProcessServer({ userKeys: [key.publicKey], ...options })
  return target
}
afterEach(async () => {
  await target?.server.close()
  target = undefined
})

const login = async (server: ProcessServer, more: Partial<SshClientOptions> = {}): Promise<SshClient> =>
  connectSsh({
    stream: await dial({ host: '127.0.0.1', port: server.port }),
    user: 'me',
    ident: 'TestClient_1',
    verifyHost: () => {},
    identities: [{ signer: key }],
    ...more,
  })

const silent = (port: number): Promise<{ socket: Socket; closed: Promise<void> }> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const closed = new Promise<void>((done) => socket.once('close', () => done()))
    socket.on('error', () => {})
    socket.resume()
    socket.once('connect', () => resolve({ socket, closed }))
  })

describe('before login', () => {
  test('connections above the limit are dropped at once, and others get in when there is room again', async () => {
    const server = await start({ limits: { maxPreAuthConnections: 3 } })
    const waiting = await Promise.all(Array.from({ length: 12 }, () => silent(server.port)))
    await expect.poll(() => server.server.connectionCount).toBeLessThanOrEqual(3)
    await expect.poll(() => server.failures.length).toBeGreaterThanOrEqual(9)
    for (const { socket } of waiting) socket.destroy()
    await expect.poll(() => server.server.connectionCount).toBe(0)
    await (await login(server)).close()
  })

  test('early drop: from a third of the limit on, more the fuller it is', async () => {
    let dropped = 0
    const options: SshServerOptions<undefined> = {
      ident: 'TestServer_1',
      hostIdentities: () => [{ signer: key, offerPlain: true }],
      authMethods: ['publickey'],
      authenticate: async () => ({ allow: false, reason: 'no' }),
      authFailed: () => dropped++,
      limits: { maxPreAuthConnections: 90 },
    }
    // A coin that always shows the same: drops when the share of used places above a third exceeds one half.
    const server = createSshServer(options, {
      ...realEnv,
      randomBytes: (size) => (size === 4 ? Buffer.from([0x80, 0, 0, 0]) : realEnv.randomBytes(size)),
    })
    const ends = Array.from({ length: 200 }, () => {
      const [near, far] = duplexPipe()
      far.resume()
      server.handle(near, { address: '127.0.0.1', port: 1 })
      return far
    })
    expect(server.connectionCount).toBe(61)
    expect(dropped).toBe(139)
    for (const far of ends) far.destroy()
    await server.close()
  })

  test('a client that never logs in is cut', async () => {
    const server = await start({ limits: { loginGraceMs: 50 } })
    const { closed } = await silent(server.port)
    await closed
    await expect.poll(() => server.server.connectionCount).toBe(0)
  })

  test('a preamble gives the true address; a bad one ends the connection', async () => {
    const server = await start({
      preamble: {
        prefix: 'Front',
        verify: async (text) => {
          if (text !== 'good') throw new Error('bad preamble')
          return { address: '203.0.113.9', port: 4711 }
        },
      },
    })
    const client = await login(server, { preamble: 'Front good\r\n' })
    const [connection] = server.connections
    expect(connection?.peer).toEqual({ address: '203.0.113.9', port: 4711 })
    expect(connection?.socketPeer.address).toBe('127.0.0.1')
    await client.close()
    await expect(login(server, { preamble: 'Front bad\r\n' })).rejects.toThrow()
  })

  test('sockets cut at any moment leave nothing behind', async () => {
    const server = await start()
    for (let after = 0; after < 3000; after += 150) {
      const socket = await dial({ host: '127.0.0.1', port: server.port })
      let seen = 0
      socket.on('data', (chunk: Buffer) => {
        seen += chunk.length
        if (seen >= after) socket.destroy()
      })
      await connectSsh({
        stream: socket,
        user: 'me',
        ident: 'TestClient_1',
        verifyHost: () => {},
        identities: [{ signer: key }],
      })
        .then((client) => client.close())
        .catch(() => {})
    }
    await expect.poll(() => server.server.connectionCount).toBe(0)
    await (await login(server)).close()
  })
})

describe('after login', () => {
  test('a handler that refuses in `connected` ends the connection with its message', async () => {
    const server = await start({
      connected: () => {
        throw new Error('too many of you')
      },
    })
    const client = await login(server)
    await client.closed
    expect(client.signal.aborted).toBe(true)
  })

  test('a silent peer is noticed', async () => {
    const server = await start({ keepAlive: { intervalMs: 10, maxMissed: 2 } })
    let stall = false
    const [near, far] = duplexPipe({ forward: (chunk) => (stall ? Buffer.alloc(0) : chunk) })
    const peer = { address: '127.0.0.1', port: 1 }
    server.server.handle(far, peer)
    const client = await connectSsh({
      stream: near,
      user: 'me',
      ident: 'TestClient_1',
      verifyHost: () => {},
      identities: [{ signer: key }],
    })
    stall = true
    expect(await client.closed).toBeInstanceOf(Error)
  })

  test('closing waits for sessions as long as it was told to', async () => {
    const server = await start()
    const client = await login(server)
    const session = await client.openSession()
    await session.exec('read line; exit 3')
    session.channel.resume()
    session.stderr.resume()
    const closing = server.server.close(60_000)
    await expect(dial({ host: '127.0.0.1', port: server.port })).rejects.toThrow()
    session.channel.end('go\n')
    expect(await session.exited).toEqual({ kind: 'exit', status: 3 })
    await client.close()
    await closing
  })

  test('closing at once cuts everybody', async () => {
    const server = await start()
    const client = await login(server)
    await server.server.close()
    await client.closed
  })

  test('50 logins at a time', async () => {
    const server = await start({ limits: { maxPreAuthConnections: 300 } })
    const clients = await Promise.all(Array.from({ length: 50 }, () => login(server)))
    await expect.poll(() => server.connections.size).toBe(50)
    await Promise.all(clients.map((client) => client.close()))
    await expect.poll(() => server.server.connectionCount).toBe(0)
  })
})
