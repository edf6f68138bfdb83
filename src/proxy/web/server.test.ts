import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClusterConfig } from '../../api/model.ts'
import { webGetState } from '../../api/web.ts'
import { realEnv } from '../../common/env.ts'
import { type LogFields, type Logger, silentLogger } from '../../common/log.ts'
import { AccessDenied, NotFound } from '../../errors/errors.ts'
import { loadKeyPairs } from './keypairs.ts'
import type { WebBackend, WebClient } from './routes.ts'
import { makeSelfSigned } from './self-signed.ts'
import { createWebServer, type WebServer } from './server.ts'

const run = promisify(execFile)
const config: ClusterConfig = {
  clusterName: 'test<img src=x onerror=alert(1)>',
  secondFactor: 'otp',
  clientIdleTimeout: 0,
  disconnectExpiredCert: false,
  keepAliveInterval: 300,
  keepAliveCountMax: 3,
  sessionRecording: 'node',
  sessionDetachTimeout: 0,
  messageOfTheDay: 'hello',
  lockingMode: 'best_effort',
  requireSessionMfa: false,
}
const token = '0123456789abcdef0123456789abcdef'
const names = ['localhost', '127.0.0.1']

interface Seen {
  what: string
  client: WebClient
}

let directory: string
let web: WebServer
let port: number
let ca: Buffer
const seen: Seen[] = []
const logged: string[] = []

const recordingLogger: Logger = {
  ...silentLogger,
  ...Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [
      level,
      (message: string, fields?: LogFields) => logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
    ]),
  ),
  child: () => recordingLogger,
}

const backend: WebBackend = {
  config: () => config,
  authorities: () => ({ host: ['ssh-ed25519 AAAAhost'], user: ['ssh-ed25519 AAAAnew', 'ssh-ed25519 AAAAold'] }),
  async login(body, client) {
    seen.push({ what: 'login', client })
    if (body.user === 'bug') throw new TypeError(`secret ${body.password}`)
    throw new AccessDenied('invalid user, password or code')
  },
  async changePassword() {
    return {}
  },
  async openInvite(opened, client) {
    seen.push({ what: opened, client })
    return {
      user: 'alice',
      kind: 'invite',
      clusterName: 'test',
      secondFactor: 'otp',
      expires: '2026-11-20T16:00:00Z',
      minPasswordLength: 12,
      webauthn: false,
    }
  },
  async beginInviteKey(opened, client) {
    seen.push({ what: opened, client })
    return { challenge: 'x' }
  },
  async beginLogin(_body, client) {
    seen.push({ what: 'begin', client })
    return { choice: { otp: true, webauthn: false, recoveryCode: false } }
  },
  async startLoginCeremony() {
    throw new AccessDenied('invalid user, password or code')
  },
  async startPasswordCeremony() {
    throw new AccessDenied('invalid user, password or code')
  },
  async openCeremony() {
    throw new NotFound('this page is not valid')
  },
  async answerCeremony() {
    throw new NotFound('this page is not valid')
  },
  script: 'export {}',
  async acceptInvite(_body, client) {
    seen.push({ what: 'accept', client })
    return { user: 'alice' }
  },
  sessions: {
    open: () => Promise.reject(new AccessDenied('no')),
    check: () => Promise.reject(new AccessDenied('no')),
    renew: () => Promise.reject(new AccessDenied('no')),
    end: () => Promise.reject(new AccessDenied('no')),
    openAgent: () => Promise.reject(new AccessDenied('no')),
  },
  callsOf: () => [],
  nodes: {
    list() {
      throw new AccessDenied('no')
    },
  },
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'proxy-web-'))
  const keyPairs = await loadKeyPairs({ files: [], directory, names, env: realEnv, logger: recordingLogger })
  ca = keyPairs.primary.cert
  web = await createWebServer({
    backend,
    info: { serverVersion: '0.1.0', sshAddress: 'localhost:3023', tunnelAddress: '', selfSigned: keyPairs.selfSigned },
    keyPairs,
    env: realEnv,
    logger: recordingLogger,
    attempts: { burst: 40, perMinute: 60 },
    timeouts: { handshake: 400, headers: 400, request: 800 },
  })
  ;({ port } = await web.listen(0, '127.0.0.1'))
})

afterAll(async () => {
  await web.close()
  await rm(directory, { recursive: true })
})

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

function ask(
  path: string,
  options: { method?: string; body?: string; headers?: Record<string, string>; from?: string; port?: number } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: options.port ?? port,
        path,
        ca,
        servername: 'localhost',
        method: options.method ?? 'GET',
        agent: false,
        ...(options.headers === undefined ? {} : { headers: options.headers }),
        ...(options.from === undefined ? {} : { localAddress: options.from }),
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(options.body)
  })
}

const post = (
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
  from?: string,
  at = port,
): Promise<Answer> =>
  ask(path, {
    port: at,
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
    ...(from === undefined ? {} : { from }),
  })

/** Sends bytes without TLS and returns all that comes back. */
function plain(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let answer = ''
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    socket.on('error', () => resolve(answer))
    socket.on('close', () => resolve(answer))
  })
}

/** Sends bytes inside TLS and returns all that comes back until the server closes. */
async function raw(input: string, argv: readonly string[] = []): Promise<string> {
  const child = run('openssl', ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`, ...argv], {
    encoding: 'latin1',
    maxBuffer: 1 << 24,
  })
  child.child.stdin?.on('error', () => {})
  child.child.stdin?.write(input)
  const { stdout } = await child.catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }))
  return String(stdout)
}

const required = [
  'strict-transport-security',
  'x-content-type-options',
  'referrer-policy',
  'content-security-policy',
  'x-frame-options',
] as const

function expectSecure(headers: IncomingHttpHeaders): void {
  for (const name of required) expect(headers[name], name).toBeDefined()
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
  expect(headers['content-security-policy']).toContain("default-src 'none'")
  expect(headers['content-security-policy']).not.toContain('unsafe')
  expect(headers['cache-control']).toBe('no-store')
  expect(headers['set-cookie']).toBeUndefined()
  expect(headers['access-control-allow-origin']).toBeUndefined()
}

describe('the web API', () => {
  test('every route of the table answers with the security headers', async () => {
    for (const route of web.routes) {
      const path = ('endpoint' in route ? route.endpoint.path : route.path).replace(':token', token)
      const method = 'endpoint' in route ? route.endpoint.method : 'GET'
      const answer = method === 'GET' ? await ask(path) : await post(path, {})
      if (path === '/webapi/session' && method === 'GET') delete answer.headers['set-cookie']
      expectSecure(answer.headers)
      // A browser's call without origin, token and cookie gets nowhere.
      const statuses = route.kind === 'browser' && route.endpoint !== webGetState ? [401, 403] : [200, 400]
      expect(statuses, `${method} ${path}`).toContain(answer.status)
    }
  })

  test('the routes are these and no others', () => {
    expect(
      web.routes.map((r) => ('endpoint' in r ? `${r.endpoint.method} ${r.endpoint.path}` : `GET ${r.path}`)),
    ).toEqual([
      'GET /',
      'GET /web/invite/:token',
      'GET /web/reset/:token',
      'GET /web/mfa/:token',
      'GET /web/assets/page.js',
      'GET /webapi/ping',
      'GET /webapi/authorities',
      'POST /webapi/ssh/certs',
      'POST /webapi/password',
      'POST /webapi/password/ceremony',
      'POST /webapi/login/begin',
      'POST /webapi/login/ceremony',
      'POST /webapi/ceremonies/open',
      'POST /webapi/ceremonies/answer',
      'POST /webapi/invites/open',
      'POST /webapi/invites/webauthn',
      'POST /webapi/invites/accept',
      'GET /webapi/session',
      'POST /webapi/session',
      'POST /webapi/session/renew',
      'POST /webapi/session/end',
      'GET /webapi/nodes',
      'GET /webapi/openapi',
    ])
  })

  test('the public keys of the authorities are for everybody, and nothing more', async () => {
    const answer = await ask('/webapi/authorities')
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toEqual({
      clusterName: config.clusterName,
      host: ['ssh-ed25519 AAAAhost'],
      user: ['ssh-ed25519 AAAAnew', 'ssh-ed25519 AAAAold'],
    })
  })

  test('ping says where to go', async () => {
    const answer = await ask('/webapi/ping')
    expect(JSON.parse(answer.body)).toMatchObject({
      auth: { type: 'local', secondFactor: 'otp' },
      proxy: { ssh: { address: 'localhost:3023' }, web: { address: `localhost:${port}` } },
    })
  })

  test.each([
    ['a path that does not exist', 'GET', '/webapi/nothing', 404],
    ['a page that does not exist', 'GET', '/nothing', 404],
    ['another method', 'DELETE', '/webapi/ssh/certs', 404],
    ['a method override', 'GET', '/webapi/ssh/certs?_method=POST', 404],
    ['climbing out of a page', 'GET', '/web/..%2f..%2fetc%2fpasswd', 404],
    ['climbing out of an invite', 'GET', '/web/invite/..%2f..%2fetc%2fpasswd', 404],
    ['an undecodable path', 'GET', '/web/invite/%zz', 400],
    ['an unknown query', 'GET', '/webapi/ping?redirect=//evil', 400],
  ])('%s is refused with all headers', async (_name, method, path, status) => {
    const answer = await ask(path, { method })
    expect(answer.status).toBe(status)
    expectSecure(answer.headers)
    expect(answer.headers.location).toBeUndefined()
  })

  test.each([
    ['no JSON', '{', 400],
    ['an unknown key', { user: 'a', password: 'b', publicKey: 'c', admin: true }, 400],
    ['a wrong type', { user: 1, password: 'b', publicKey: 'c' }, 400],
    ['a missing key', { user: 'a' }, 400],
    ['a prototype', '{"__proto__":{"user":"a"},"user":"a","password":"b","publicKey":"c"}', 400],
    ['a deep body', '['.repeat(60_000), 400],
    ['a deep valid body', '['.repeat(30_000) + ']'.repeat(30_000), 400],
    ['a large body', `"${'a'.repeat(70_000)}"`, 413],
  ])('a login with %s is refused', async (_name, body, status) => {
    const answer = await post('/webapi/ssh/certs', body, {}, '127.0.0.9')
    expect(answer.status).toBe(status)
    expectSecure(answer.headers)
    expect((JSON.parse(answer.body) as { error: { kind: string } }).error.kind).toBe('BadParameter')
  })

  test.each([
    ['127.0.0.1', 403],
    ['::1', 403],
    ['evil.example', 400],
    ['127.0.0.1.evil.example', 400],
    ['127.0.0.1@evil.example', 400],
    ['localhost', 400],
    ['0.0.0.0', 400],
    ['127.0.0.1:80/x?', 400],
  ])(
    'W8 a login that comes back to %s: only addresses of the own machine get as far as a refusal',
    async (host, status) => {
      const callback = { host, port: 4000, state: '0'.repeat(32) }
      const body = { user: 'a', password: 'b', publicKey: 'c', callback }
      expect((await post('/webapi/login/ceremony', body, {}, '127.0.0.10')).status).toBe(status)
      const changes = { user: 'a', password: 'b', callback }
      expect((await post('/webapi/password/ceremony', changes, {}, '127.0.0.10')).status).toBe(status)
    },
  )

  test('JSON sent as text is refused, so that no foreign form can post it', async () => {
    const answer = await post('/webapi/ssh/certs', { user: 'a' }, { 'content-type': 'text/plain' })
    expect(answer.status).toBe(415)
    expectSecure(answer.headers)
  })

  test('the answer of the auth service comes through as its kind', async () => {
    const answer = await post('/webapi/ssh/certs', { user: 'a', password: 'b', publicKey: 'c' })
    expect(answer.status).toBe(403)
    expect(JSON.parse(answer.body)).toEqual({
      error: { kind: 'AccessDenied', message: 'invalid user, password or code' },
    })
  })

  test('a bug says nothing to the client', async () => {
    const answer = await post('/webapi/ssh/certs', { user: 'bug', password: 'hunter2hunter2', publicKey: 'c' })
    expect(answer.status).toBe(500)
    expect(answer.body).not.toContain('secret')
    expectSecure(answer.headers)
  })

  test('the client is the peer of the socket, whatever the headers say', async () => {
    seen.length = 0
    await post(
      '/webapi/invites/open',
      { token },
      { 'x-forwarded-for': '1.1.1.1', forwarded: 'for=1.1.1.1', 'x-real-ip': '1.1.1.1', 'user-agent': 'u'.repeat(900) },
      '127.0.0.5',
    )
    expect(seen).toEqual([{ what: token, client: { address: '127.0.0.5', userAgent: 'u'.repeat(256) } }])
  })

  test('too many attempts from one address are refused, and only from that one', async () => {
    const body = { token }
    const answers: Answer[] = []
    // A machine that is slow regains tries between two of them.
    for (let attempt = 0; attempt < 200 && answers.at(-1)?.status !== 429; attempt++) {
      answers.push(await post('/webapi/invites/open', body, {}, '127.0.0.7'))
    }
    const refused = answers.filter((answer) => answer.status === 429)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]?.headers['retry-after']).toMatch(/^\d+$/)
    expectSecure(refused[0]?.headers ?? {})
    expect((await post('/webapi/invites/open', body, {}, '127.0.0.8')).status).toBe(200)
  })
})

describe('the pages', () => {
  test('an invite link gives the command that finishes it, with this proxy as configured', async () => {
    const answer = await ask(`/web/invite/${token}`, { headers: { host: 'evil.example' } })
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(answer.body).toContain(`tsh signup --insecure https://localhost:${port}/web/invite/${token}`)
    expect(answer.body).not.toContain('evil.example')
    expect(answer.body).toContain('name="viewport"')
    expectSecure(answer.headers)
  })

  test('names are text, not markup', async () => {
    const answer = await ask('/')
    expect(answer.body).toContain('test&lt;img src=x onerror=alert(1)&gt;')
    expect(answer.body).not.toContain('<img')
  })

  test('the style is allowed by its hash, and nothing is loaded', async () => {
    const { body, headers } = await ask('/')
    const style = body.match(/<style>([\s\S]*?)<\/style>/)?.[1] ?? ''
    const { createHash } = await import('node:crypto')
    const hash = createHash('sha256').update(style).digest('base64')
    expect(headers['content-security-policy']).toContain(`style-src 'sha256-${hash}'`)
    expect(body).not.toMatch(/<script|<[^>]*\s(src|href|style|on\w+)=/)
  })

  test('no token is ever logged', () => {
    expect(logged.join('\n')).not.toContain(token)
    expect(logged.join('\n')).not.toContain('/web/invite/0')
  })
})

describe('broken and hostile HTTP', () => {
  test('plain HTTP reads why it does not work', async () => {
    const answer = await plain('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('https://')
    expect(answer.toLowerCase()).toContain('x-content-type-options: nosniff')
  })

  test.each([
    [
      'a body with both lengths',
      'POST /webapi/invites/open HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a header that does not end', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}`, 431],
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['headers that never come', 'GET / HTTP/1.1\r\nhost: x\r\n', 408],
    [
      'a body that never comes',
      'POST /webapi/invites/open HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n{',
      408,
    ],
    [
      'an absurd length',
      'POST /webapi/invites/open HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n{',
      413,
    ],
  ])('%s is cut', async (_name, input, status) => {
    const answer = await raw(input)
    expect(answer).toContain(`HTTP/1.1 ${status} `)
    expect(answer.toLowerCase()).toContain('strict-transport-security')
  })

  test('silent connections are cut, and others are served meanwhile', async () => {
    const silent = Array.from({ length: 700 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    const closed = silent.map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())))
    expect((await ask('/webapi/ping')).status).toBe(200)
    await Promise.all(closed)
    await expect.poll(() => web.connectionCount).toBe(0)
  })

  test('one address has so many established connections and no more', async () => {
    const keyPairs = await loadKeyPairs({ files: [], directory, names, env: realEnv, logger: silentLogger })
    const info = { serverVersion: '0.1.0', sshAddress: '', tunnelAddress: '', selfSigned: true }
    await using stack = new AsyncDisposableStack()
    const patient = await createWebServer({ backend, info, keyPairs, env: realEnv, logger: silentLogger })
    stack.defer(() => patient.close())
    const { port: patientPort } = await patient.listen(0, '127.0.0.1')
    const sockets = Array.from({ length: 300 }, () => {
      const socket = connectTls({ port: patientPort, host: '127.0.0.1', ca, servername: 'localhost' })
      return socket.on('error', () => {})
    })
    await Promise.all(
      sockets.map((socket) => new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve))),
    )
    await expect.poll(() => patient.connectionCount).toBe(256)
    for (const socket of sockets) socket.destroy()
    await expect.poll(() => patient.connectionCount).toBe(0)
  })
})

describe('a server that stops', () => {
  test('is not found any more, answers what it was asked, and keeps no connection', async () => {
    const keyPairs = await loadKeyPairs({ files: [], directory, names, env: realEnv, logger: silentLogger })
    const info = { serverVersion: '0.1.0', sshAddress: '', tunnelAddress: '', selfSigned: true }
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<{ user: string }>()
    const leaving = await createWebServer({
      backend: {
        ...backend,
        acceptInvite() {
          asked.resolve()
          return answer.promise
        },
      },
      info,
      keyPairs,
      env: realEnv,
      logger: silentLogger,
    })
    const { port: leavingPort } = await leaving.listen(0, '127.0.0.1')
    const idle = connectTls({ port: leavingPort, host: '127.0.0.1', ca, servername: 'localhost' }).on('error', () => {})
    await new Promise((resolve) => idle.once('secureConnect', resolve))
    const call = post(
      '/webapi/invites/accept',
      { token, password: 'correct horse battery staple', otp: '123456' },
      {},
      undefined,
      leavingPort,
    )
    await asked.promise
    const closed = leaving.close()
    await new Promise<void>((resolve) =>
      connect(leavingPort, '127.0.0.1')
        .once('error', () => resolve())
        .once('connect', () => resolve(expect.fail('it still listens'))),
    )
    answer.resolve({ user: 'alice' })
    expect(await call).toMatchObject({ status: 200, headers: { connection: 'close' } })
    await closed
    expect(leaving.connectionCount).toBe(0)
  })
})

describe('TLS', () => {
  const dial = (...argv: readonly string[]) =>
    run('sh', ['-c', `openssl s_client -connect 127.0.0.1:${port} ${argv.join(' ')} </dev/null`]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string; stderr: string }) => `FAILED ${error.stdout}${error.stderr}`,
    )

  test.each(['-tls1', '-tls1_1'])('%s is refused', async (version) => {
    expect(await dial(version, '-cipher', 'DEFAULT@SECLEVEL=0')).toMatch(/FAILED/)
  })

  test.each([
    ['-tls1_2', 'TLSv1.2'],
    ['-tls1_3', 'TLSv1.3'],
  ])('%s is served', async (version, name) => {
    expect(await dial(version)).toContain(name)
  })

  test('suites without forward secrecy are refused', async () => {
    expect(await dial('-tls1_2', '-cipher', 'AES128-SHA:AES256-GCM-SHA384')).toMatch(/FAILED/)
  })

  test('another key pair takes over without a restart, chosen by the name asked for', async () => {
    const write = async (name: string) => {
      const made = await makeSelfSigned([name], new Date())
      const files = { keyFile: join(directory, `${name}.key`), certFile: join(directory, `${name}.crt`) }
      await writeFile(files.keyFile, made.key)
      await writeFile(files.certFile, made.certificate)
      return files
    }
    const files = [await write('one.example'), await write('two.example')]
    const before = await loadKeyPairs({ files: [], directory, names, env: realEnv, logger: silentLogger })
    web.reload(await loadKeyPairs({ files, directory, names, env: realEnv, logger: silentLogger }))
    const shown = (name: string) => dial('-servername', name).then((text) => text.match(/-----BEGIN[^-]+-----END/)?.[0])
    const pem = async (file: string) => (await readFile(file, 'utf8')).match(/-----BEGIN[^-]+-----END/)?.[0]
    expect(await shown('two.example')).toBe(await pem(files[1]?.certFile ?? ''))
    expect(await shown('other.example')).toBe(await pem(files[0]?.certFile ?? ''))
    web.reload(before)
    expect(await shown('localhost')).toBe(String(ca).match(/-----BEGIN[^-]+-----END/)?.[0])
  })
})

describe('key pairs', () => {
  test('the self-signed pair is kept, private, and made once', async () => {
    expect((await stat(join(directory, 'https.key'))).mode & 0o777).toBe(0o600)
    const again = await loadKeyPairs({ files: [], directory, names, env: realEnv, logger: silentLogger })
    expect(again.primary.cert.equals(ca)).toBe(true)
  })

  test.each([
    ['a file that is missing', 'missing', 'missing', /missing/],
    ['a file that is no key', 'text', 'https.crt', /text holds no unencrypted private key/],
    ['a file that is no certificate', 'https.key', 'text', /text holds no certificate/],
    ['a key of another certificate', 'other.key', 'https.crt', /other\.key is not the key/],
  ])('%s is refused by name', async (_name, key, cert, message) => {
    await writeFile(join(directory, 'text'), 'hello')
    await writeFile(join(directory, 'other.key'), (await makeSelfSigned(['x'], new Date())).key)
    const files = [{ keyFile: join(directory, key), certFile: join(directory, cert) }]
    await expect(loadKeyPairs({ files, directory, names, env: realEnv, logger: silentLogger })).rejects.toThrow(message)
  })
})
