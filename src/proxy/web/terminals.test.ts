/** Terminals of browsers towards servers that are not what they say (SECURITY V15), over a real WebSocket. */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { AccessGuard } from '../../api/access-guard.ts'
import { formatCertificateLine } from '../../api/lines.ts'
import type { Presence } from '../../api/model.ts'
import { type TerminalNotice, terminalProtocol } from '../../api/web-app.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import { createSshServer } from '../../ssh/server.ts'
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
