/** Terminals of browsers over a real WebSocket: servers that are not what they say (SECURITY V15), and pages that go away. */

import { spawn } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { AccessGuard } from '../../api/access-guard.ts'
import { formatCertificateLine } from '../../api/lines.ts'
import type { Presence } from '../../api/model.ts'
import { type FileNotice, filesProtocol, type TerminalNotice, terminalProtocol } from '../../api/web-app.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import type { ServerSession } from '../../ssh/connection/types.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import { createSshServer } from '../../ssh/server.ts'
import type { ServerConnection } from '../../ssh/server-types.ts'
import { Clients } from '../ssh/clients.ts'
import { TestCluster } from '../testing/cluster.ts'
import { csrfTokenOf, sessionCookie } from './cookies.ts'
import { Terminals } from './terminals.ts'

const alice = { name: 'alice', roles: ['ops'], logins: ['root'] }
const token = '0123456789abcdef0123456789abcdef'
const uuid = '44444444-4444-4444-8444-444444444444'

let directory: string
let cluster: TestCluster
let port: number
const stopped = new AbortController()
const stack = new AsyncDisposableStack()
stack.defer(() => stopped.abort())

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'proxy-terminals-'))
  cluster = new TestCluster(directory)
  cluster.addRole('ops', { logins: ['root'], node_labels: { '*': '*' } })
  cluster.addUser(alice)
  const key = generateEd25519()
  const certificate = cluster.certify(alice, key.publicKey)
  const now = realEnv.now().toISOString()
  const session = {
    ...{ id: uuid, user: 'alice', roles: ['ops'], logins: ['root'], created: now, expires: now, idleExpires: now },
    certificate: formatCertificateLine(certificate),
    accessRequests: [],
  }
  const proxy = cluster.machine('Proxy', ['proxy'])
  const terminals = new Terminals({
    sessions: {
      hold: async () => ({
        session,
        identity: { signer: key, certificate },
        signal: new AbortController().signal,
        touch() {},
        release() {},
      }),
    },
    targets: {
      state: cluster.state,
      guard: new AccessGuard({
        onChange() {},
        staleMs: () => 0,
        env: realEnv,
        logger: silentLogger,
        signal: stopped.signal,
      }),
      identity: () => proxy,
      authServers: [],
      env: realEnv,
      connectTimeoutMs: 5_000,
    },
    clients: new Clients({ maxConnections: 10, maxUsers: 10 }),
    env: realEnv,
    logger: silentLogger,
  })
  stack.defer(() => terminals.close())
  const server = createServer()
  server.on('upgrade', (request, socket, head) => {
    void terminals.upgrade(request, socket, head, (status) => void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stack.defer(() => void server.close())
  const address = server.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
})

afterAll(async () => {
  await stack.disposeAsync()
  await rm(directory, { recursive: true })
})

/** What the page is told at the end of a terminal on this server. */
function endOf(node: string): Promise<string> {
  const socket = new WebSocket(
    `ws://127.0.0.1:${port}/webapi/terminal?node=${node}&login=root`,
    [terminalProtocol, `csrf.${csrfTokenOf(token)}`],
    { headers: { cookie: `${sessionCookie}=${token}`, origin: `https://127.0.0.1:${port}` } },
  )
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('message', (data, isBinary) => {
      if (isBinary) return
      const notice = JSON.parse(String(data)) as TerminalNotice
      if (notice.type === 'ready') resolve('ready')
      if (notice.type === 'end') resolve(notice.message)
    })
  })
}

const register = (presence: Pick<Presence, 'uuid' | 'address'>) => cluster.register({ ...presence, hostname: 'rogue' })

test('V15 a server with a bare key, or the certificate of another server or authority, is refused before anything is said to it', async () => {
  const key = generateEd25519()
  const other = cluster.machine('Node', ['other'])
  const foreign = new TestCluster(directory).machine('Node', ['rogue'], uuid)
  const rows = [
    { signer: key },
    { signer: other.key, certificate: other.certificate },
    { signer: foreign.key, certificate: foreign.certificate },
  ]
  for (const identity of rows) {
    const seen: string[] = []
    const server = createSshServer<string>({
      ident: 'Rogue',
      hostIdentities: () => [identity],
      authMethods: ['publickey'],
      async authenticate({ user }) {
        seen.push(user)
        return { allow: true, identity: user }
      },
      preamble: { prefix: 'TELEPORT-PROXY-V1', verify: async (_text, peer) => peer },
      logger: silentLogger,
    })
    const { port: rogue } = await server.listen(0, '127.0.0.1')
    register({ uuid, address: `127.0.0.1:${rogue}` })
    expect(await endOf(uuid)).toMatch(/could not prove who it is|without a certificate/)
    expect(seen).toEqual([])
    await server.close()
  }
})

/** A server that proves who it is, with sessions as the test wants them. */
async function honest(
  lasting: string,
  onSession: (session: ServerSession, connection: ServerConnection<string>) => void,
) {
  const machine = cluster.machine('Node', ['rogue'], lasting)
  const server = createSshServer<string>({
    ident: 'Honest',
    hostIdentities: () => [{ signer: machine.key, certificate: machine.certificate }],
    authMethods: ['publickey'],
    async authenticate({ user }) {
      return { allow: true, identity: user }
    },
    session: onSession,
    preamble: { prefix: 'TELEPORT-PROXY-V1', verify: async (_text, peer) => peer },
    logger: silentLogger,
  })
  const { port: own } = await server.listen(0, '127.0.0.1')
  register({ uuid: lasting, address: `127.0.0.1:${own}` })
  return server
}

/** A page whose connection is in the test's hands: it may begin to close and not end. */
async function rawPage(query: string) {
  const page = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  let heard = Buffer.alloc(0)
  page.on('data', (data: Buffer) => {
    heard = Buffer.concat([heard, data])
  })
  page.write(
    [
      `GET /webapi/terminal?${query} HTTP/1.1`,
      `host: 127.0.0.1:${port}`,
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      `sec-websocket-key: ${Buffer.alloc(16).toString('base64')}`,
      `sec-websocket-protocol: ${terminalProtocol}, csrf.${csrfTokenOf(token)}`,
      `cookie: ${sessionCookie}=${token}`,
      `origin: https://127.0.0.1:${port}`,
      '\r\n',
    ].join('\r\n'),
  )
  const hears = async (wanted: string) => {
    await expect.poll(() => heard.includes(wanted, 0, 'latin1')).toBe(true)
  }
  return { page, hears }
}

/** WebSocket, masked with zeros: "I go away", as browsers say when a page is reloaded, and the answer to it. */
const goingAway = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9])
const answer = '\x88\x02\x03\xe9'

test('a page that is reloaded just when its terminal prints is lost to the server, and takes no leave', async () => {
  const lasting = '66666666-6666-4666-8666-666666666666'
  const opened = Promise.withResolvers<{ session: ServerSession; connection: ServerConnection<string> }>()
  const server = await honest(lasting, (session, connection) => {
    session.accept()
    opened.resolve({ session, connection })
  })
  const { page, hears } = await rawPage(`node=${lasting}&login=root`)
  const { session, connection } = await opened.promise
  const { channel } = session
  channel.on('error', () => {})
  await hears('"ready"')
  channel.write('first')
  await hears('first')
  page.write(goingAway)
  await hears(answer)
  // The page does not end its connection yet, and the program prints.
  channel.write('printed meanwhile')
  // Whatever the proxy does about that, it has done when it has answered twice.
  for (let turn = 0; turn < 2; turn++) await expect(connection.openAgent()).rejects.toThrow()
  expect(channel.signal.aborted).toBe(false)
  const closed = new Promise<void>((resolve) => connection.signal.addEventListener('abort', () => resolve()))
  page.destroy()
  await closed
  expect(connection.wasLost).toBe(true)
  await server.close()
})

/** What the page is told at the end of an upload. */
function upload(query: Record<string, string>, content: string): Promise<string> {
  const socket = new WebSocket(
    `ws://127.0.0.1:${port}/webapi/files?${new URLSearchParams({ action: 'put', login: 'root', ...query })}`,
    [filesProtocol, `csrf.${csrfTokenOf(token)}`],
    { headers: { cookie: `${sessionCookie}=${token}`, origin: `https://127.0.0.1:${port}` } },
  )
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('message', (data) => {
      const notice = JSON.parse(String(data)) as FileNotice
      if (notice.type === 'end') resolve(notice.message ?? 'done')
      if (notice.type !== 'ready') return
      socket.send(Buffer.from(content))
      socket.send(JSON.stringify({ type: 'done', bytes: content.length }))
    })
  })
}

test('a file in a directory that the login may not write to is not replaced, and the page is told why and what to do', async () => {
  const files = '77777777-7777-4777-8777-777777777777'
  // OpenSSH's, with the rights of somebody who is not root.
  const program = '/usr/lib/openssh/sftp-server'
  const unprivileged = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', program] as const
  const isRoot = process.geteuid?.() === 0
  const [command, ...args] = isRoot ? unprivileged : ([program] as const)
  const server = await honest(files, (session) => {
    const { channel } = session
    session.accept()
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    channel.pipe(child.stdin)
    child.stdout.pipe(channel, { end: false })
    child.on('close', (status) => void session.exit({ kind: 'exit', status: status ?? 1 }))
  })
  const open = join(directory, 'open')
  const shut = join(directory, 'shut')
  await chmod(directory, 0o755)
  for (const place of [open, shut]) {
    await mkdir(place)
    await chmod(place, 0o777)
    await writeFile(join(place, 'there'), 'what was there')
    await chmod(join(place, 'there'), 0o666)
    await writeFile(join(place, 'foreign'), 'what was there')
    if (isRoot) await chown(join(place, 'there'), 65_534, 65_534)
  }
  await chmod(shut, 0o555)
  const put = (place: string, name: string, replace = '1') =>
    upload({ node: files, directory: place, name, replace }, 'new')
  expect(await put(open, 'there', '')).toMatch(/there is such a file already/)
  expect(await put(open, 'there')).toBe('done')
  expect(await readFile(join(open, 'there'), 'utf8')).toBe('new')
  if (isRoot) {
    expect(await put(open, 'foreign')).toContain(`${open}/foreign: permission denied: it belongs to another account`)
    expect((await readdir(open)).sort()).toEqual(['foreign', 'there'])
    expect(await readFile(join(open, 'foreign'), 'utf8')).toBe('what was there')
  }
  const refused = `permission denied: the login may not make files in ${shut}`
  expect(await put(shut, 'fresh')).toBe(`${shut}/fresh: ${refused}; send it to another directory`)
  const said = await put(shut, 'there')
  expect(said).toContain(`${shut}/there: ${refused}, and a file is replaced as a whole`)
  expect(said).toContain('copy it over with cp in the terminal')
  expect((await readdir(shut)).sort()).toEqual(['foreign', 'there'])
  expect(await readFile(join(shut, 'there'), 'utf8')).toBe('what was there')
  await chmod(shut, 0o755)
  await server.close()
})
