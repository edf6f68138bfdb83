/**
 * Measures the SSH packet stream alone, between two processes over TCP on loopback: MB/s one way for each cipher, processor
 * time per byte on each side, and handshakes (key exchange and login) per second. `node bench/ssh-transport.ts [MiB]`.
 */

import { fork } from 'node:child_process'
import { connect, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { authenticateClient } from '../src/ssh/auth/client.ts'
import { authenticateServer } from '../src/ssh/auth/server.ts'
import { generateEd25519 } from '../src/ssh/keys/private-key.ts'
import { knownCiphers } from '../src/ssh/transport/algorithms.ts'
import { acceptTransport, connectTransport } from '../src/ssh/transport/connect.ts'
import type { CipherAlgorithm, KexAlgorithm, Transport } from '../src/ssh/transport/types.ts'

const MIB = 1024 * 1024
const CHANNEL_DATA = 94
const HANDSHAKES = 200

const hostKey = generateEd25519()
const userKey = generateEd25519()

interface Report {
  readonly port?: number
  readonly cpuMs?: number
}

async function serve(): Promise<void> {
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    // The last connection is cut when the measurement is over.
    receive(socket).catch(() => undefined)
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) process.send?.({ port: address.port } satisfies Report)
  })
}

async function receive(socket: Socket): Promise<void> {
  const transport = await acceptTransport({ stream: socket, ident: 'bench', hostIdentities: [{ signer: hostKey }] })
  await authenticateServer({
    transport,
    methods: ['publickey'],
    authenticate: async () => ({ allow: true, identity: undefined }),
  })
  const before = process.cpuUsage()
  transport.start((payload) => {
    if (payload.length > 1) return
    const { user, system } = process.cpuUsage(before)
    process.send?.({ cpuMs: (user + system) / 1000 } satisfies Report)
    transport.send(Buffer.from([CHANNEL_DATA]))
  })
}

async function open(port: number, kex?: KexAlgorithm, cipher?: CipherAlgorithm): Promise<Transport> {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  const transport = await connectTransport({
    stream: socket,
    ident: 'bench',
    verifyHost: () => undefined,
    algorithms: {
      ...(kex === undefined ? {} : { kex: [kex] }),
      ...(cipher === undefined ? {} : { ciphers: [cipher] }),
    },
  })
  await authenticateClient({ transport, user: 'bench', identities: [{ signer: userKey }] })
  return transport
}

async function pump(transport: Transport, bytes: number): Promise<void> {
  const header = Buffer.alloc(9, CHANNEL_DATA)
  const data = Buffer.alloc(32 * 1024, 7)
  const done = new Promise<void>((resolve) => transport.start(() => resolve()))
  for (let sent = 0; sent < bytes; sent += data.length) {
    if (!transport.send(header, data)) await transport.drained()
  }
  transport.send(Buffer.from([CHANNEL_DATA]))
  await done
}

async function main(): Promise<void> {
  const bytes = Number(process.argv[2] ?? '512') * MIB
  const child = fork(fileURLToPath(import.meta.url), ['serve'])
  let cpuMs = 0
  const port = await new Promise<number>((resolve) => {
    child.on('message', (report: Report) => {
      if (report.port !== undefined) resolve(report.port)
      if (report.cpuMs !== undefined) cpuMs = report.cpuMs
    })
  })
  for (const cipher of knownCiphers) {
    const transport = await open(port, undefined, cipher)
    await pump(transport, 32 * MIB)
    const cpuBefore = process.cpuUsage()
    const peerBefore = cpuMs
    const start = performance.now()
    await pump(transport, bytes)
    const seconds = (performance.now() - start) / 1000
    const { user, system } = process.cpuUsage(cpuBefore)
    await new Promise(setImmediate)
    const gigabytes = bytes / 1e9
    console.log(
      `${cipher.padEnd(30)} ${(bytes / 1e6 / seconds).toFixed(0).padStart(6)} MB/s   processor per GB: sender ${(
        (user + system) / 1000 / gigabytes
      ).toFixed(0)} ms, receiver ${((cpuMs - peerBefore) / gigabytes).toFixed(0)} ms`,
    )
    transport.disconnect(11, 'done')
  }
  for (const kex of ['mlkem768x25519-sha256', 'curve25519-sha256', 'diffie-hellman-group16-sha512'] as const) {
    const count = kex.startsWith('diffie') ? HANDSHAKES / 10 : HANDSHAKES
    for (let index = 0; index < count / 4; index++) (await open(port, kex)).disconnect(11, 'done')
    const cpuBefore = process.cpuUsage()
    const start = performance.now()
    for (let index = 0; index < count; index++) (await open(port, kex)).disconnect(11, 'done')
    const ms = (performance.now() - start) / count
    const { user, system } = process.cpuUsage(cpuBefore)
    console.log(
      `${kex.padEnd(30)} ${(1000 / ms).toFixed(0).padStart(6)} logins/s one after the other, ${ms.toFixed(2)} ms each, client processor ${(
        (user + system) / 1000 / count
      ).toFixed(2)} ms`,
    )
  }
  child.kill()
}

await (process.argv[2] === 'serve' ? serve() : main())
