/**
 * A small but real SSH server for interop tests and measurements: runs commands with `sh -c`, terminals through node-pty, echoes
 * in subsystem `echo`, forwards everything. Knows one plain user key.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { constants } from 'node:os'
import { type Duplex, PassThrough } from 'node:stream'
import type { Certificate } from '../certificate/types.ts'
import type { ServerSession } from '../connection/types.ts'
import { listenForward } from '../forward/listen.ts'
import { RemoteForwards } from '../forward/remote.ts'
import { spliceStreams } from '../forward/splice.ts'
import { generateEd25519 } from '../keys/private-key.ts'
import type { PrivateKey, PublicKey } from '../keys/types.ts'
import { createSshServer } from '../server.ts'
import type { ServerConnection, SshServer, SshServerOptions } from '../server-types.ts'
import { tempDir } from './temp-dir.ts'

export interface ProcessServer {
  readonly server: SshServer
  readonly port: number
  readonly hostKey: PrivateKey
  /** Connections that logged in, as long as they live. */
  readonly connections: Set<ServerConnection<undefined>>
  readonly failures: string[]
}

export interface ProcessServerOptions extends Partial<SshServerOptions<undefined>> {
  readonly userKeys: readonly PublicKey[]
  readonly hostCertificate?: (hostKey: PrivateKey) => Certificate
}

export async function startProcessServer(options: ProcessServerOptions): Promise<ProcessServer> {
  const hostKey = generateEd25519()
  const { userKeys, hostCertificate, ...overrides } = options
  const connections = new Set<ServerConnection<undefined>>()
  const forwards = new Map<ServerConnection<undefined>, RemoteForwards>()
  const failures: string[] = []
  const of = (connection: ServerConnection<undefined>): RemoteForwards => {
    const found = forwards.get(connection) ?? new RemoteForwards(connection)
    forwards.set(connection, found)
    return found
  }
  const certificate = hostCertificate?.(hostKey)
  const server = createSshServer<undefined>({
    ident: 'TestServer_1',
    hostIdentities: () => [
      { signer: hostKey, offerPlain: true, ...(certificate === undefined ? {} : { certificate }) },
    ],
    authMethods: ['publickey'],
    authenticate: async (request) =>
      request.method === 'publickey' && userKeys.some((key) => key.blob.equals(request.publicKey.blob))
        ? { allow: true, identity: undefined }
        : { allow: false, reason: 'unknown key' },
    authFailed: (_request, reason) => failures.push(reason),
    connected: (connection) => connections.add(connection),
    closed: (connection) => {
      connections.delete(connection)
      forwards.delete(connection)
    },
    session: (session, connection) => runSession(session, connection),
    directTcpip: ({ host, port }) => dial({ host, port }),
    directStreamlocal: (path) => dial({ path }),
    tcpipForward: (address, port, connection) => of(connection).tcpipForward(address, port),
    cancelTcpipForward: (address, port, connection) => of(connection).cancelTcpipForward(address, port),
    streamlocalForward: (path, connection) => of(connection).streamlocalForward(path),
    cancelStreamlocalForward: (path, connection) => of(connection).cancelStreamlocalForward(path),
    ...overrides,
  })
  const { port } = await server.listen(0, '127.0.0.1')
  return { server, port, hostKey, connections, failures }
}

export function dial(target: { host: string; port: number } | { path: string }): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, allowHalfOpen: true, noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

async function runSession(session: ServerSession, connection: ServerConnection<undefined>): Promise<void> {
  const { request, channel } = session
  if (request.kind === 'subsystem') {
    if (request.name !== 'echo') return session.reject()
    session.accept()
    await spliceStreams(channel, new PassThrough(), { leaveOpen: channel })
    return session.exit({ kind: 'exit', status: 0 })
  }
  const command = request.kind === 'exec' ? request.command : undefined
  const env: Record<string, string> = { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: '/tmp' }
  for (const [name, value] of session.env) if (name.startsWith('TEST_')) env[name] = value
  if (session.agentForwarding) env.SSH_AUTH_SOCK = await agentSocket(connection)
  session.accept()
  if (session.pty !== undefined) return runTerminal(session, command, env)
  const child = spawn('/bin/sh', command === undefined ? [] : ['-c', command], { env, detached: true })
  pump(session, child)
}

function pump(session: ServerSession, child: ChildProcessWithoutNullStreams): void {
  const { channel } = session
  channel.signal.addEventListener('abort', () => killGroup(child.pid, 'SIGHUP'))
  session.onSignal = (name) => killGroup(child.pid, `SIG${name}`)
  session.onOutputClosed = () => child.stdout.destroy()
  child.stdin.on('error', () => channel.resume())
  channel.pipe(child.stdin)
  child.stdout.pipe(channel, { end: false })
  child.stderr.pipe(session.stderr, { end: false })
  child.on('close', (code, signal) => {
    void session.exit(
      signal === null
        ? { kind: 'exit', status: code ?? 255 }
        : { kind: 'signal', signal: signal.slice(3), coreDumped: false, message: '' },
    )
  })
}

function killGroup(pid: number | undefined, signal: string): void {
  if (pid === undefined || !(signal in constants.signals)) return
  try {
    process.kill(-pid, signal)
  } catch {
    // it ended already
  }
}

async function runTerminal(
  session: ServerSession,
  command: string | undefined,
  env: Record<string, string>,
): Promise<void> {
  const { spawn: spawnPty } = await import('node-pty')
  const { pty, channel } = session
  if (pty === undefined) return
  const terminal = spawnPty('/bin/sh', command === undefined ? ['-i'] : ['-c', command], {
    name: pty.term,
    cols: pty.columns,
    rows: pty.rows,
    env,
    encoding: null,
  })
  session.onWindowChange = ({ columns, rows }) => terminal.resize(columns, rows)
  channel.signal.addEventListener('abort', () => terminal.kill())
  channel.on('data', (data: Buffer) => terminal.write(data))
  terminal.onData((data: string | Buffer) => channel.write(data))
  terminal.onExit(({ exitCode }) => void session.exit({ kind: 'exit', status: exitCode }))
}

/** A socket in a fresh private directory; each connection continues in a channel to the client's agent. */
async function agentSocket(connection: ServerConnection<undefined>): Promise<string> {
  const directory = tempDir()
  const path = directory.file('agent.sock')
  const listener = await listenForward(
    { path },
    {
      onConnection: async (socket) => {
        await spliceStreams(socket, await connection.openAgent())
      },
    },
  )
  connection.signal.addEventListener('abort', () => {
    void listener.close(true).then(() => directory[Symbol.dispose]())
  })
  return path
}
