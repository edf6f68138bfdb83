/** A browser's calls, as raw requests against a proxy with the real auth service behind it (SECURITY W1, W5, W6, A1). */

import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import * as routes from '../../api/routes.ts'
import { adminCaller, machineCaller, type TestServices, testServices } from '../../auth/testing/services.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { ConnectionProblem } from '../../errors/errors.ts'
import { identityOf, loginBackend, sessionBackend, userCalls } from './backend.ts'
import { csrfTokenOf, sessionCookie, visitorCookie } from './cookies.ts'
import { type KeyPairs, loadKeyPairs } from './keypairs.ts'
import { pageOfNodes } from './node-list.ts'
import { createWebServer } from './server.ts'

const password = 'correct horse battery'
const nodeUuid = '33333333-3333-4333-8333-333333333333'
let keyPairs: KeyPairs

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'proxy-browser-'))
  keyPairs = await loadKeyPairs({ files: [], directory, names: ['localhost'], env: realEnv, logger: silentLogger })
  return () => rm(directory, { recursive: true })
})

interface Answer {
  readonly status: number
  readonly cookies: readonly string[]
  readonly json: Record<string, unknown>
}

/** A proxy, its auth service, and two users. */
async function bench() {
  const made = await testServices({ secondFactor: 'off' })
  const admin = made.as(adminCaller)
  for (const name of ['alice', 'bob']) {
    await admin.call(routes.createUser, { body: { name, roles: ['access'], traits: { logins: ['root'] } } })
    await admin.call(routes.setPassword, { params: { name }, body: { password } })
  }
  const auth = made.as(machineCaller('Proxy'))
  const openStream = async () => {
    const [near, far] = duplexPair()
    void made.services.webSessions.serveAgent(far)
    return near
  }
  const { hub } = made.services
  const server = {
    uuid: nodeUuid,
    role: 'node' as const,
    hostname: 'n1',
    address: '10.0.0.1:3022',
    publicAddresses: [],
  }
  const nodes = [{ ...server, labels: { env: 'dev' }, version: '1', expires: '2030-01-01T00:00:00Z' }]
  const web = await createWebServer({
    backend: {
      config: () => hub.config,
      authorities: () => ({ host: [], user: [] }),
      ...loginBackend(auth),
      script: '',
      sessions: sessionBackend({ call: auth.call, openStream }),
      callsOf: userCalls(hub, made.env),
      nodes: {
        list: (session, client, query) => pageOfNodes(nodes, identityOf(hub, session, client.address, made.env), query),
      },
    },
    connectUser: async (held, peer) => {
      const user = identityOf(hub, held.session, peer.address, made.env)
      const client = made.as({ role: 'User', name: user.user, address: peer.address, user })
      const close = async () => undefined
      const openStream = () => Promise.reject(new ConnectionProblem('not here'))
      return { ...client, connected: true, openStream, close, [Symbol.asyncDispose]: close }
    },
    info: { serverVersion: '0.1.0', sshAddress: '', tunnelAddress: '', selfSigned: true },
    keyPairs,
    env: realEnv,
    logger: silentLogger,
    attempts: { burst: 200, perMinute: 60 },
  })
  const { port } = await web.listen(0, '127.0.0.1')
  onTestFinished(() => web.close())
  const named = web.routes.map((route) => ({
    name:
      route.kind === 'forward'
        ? `${route.endpoint.method} /webapi${route.endpoint.path}`
        : 'endpoint' in route
          ? `${route.endpoint.method} ${route.endpoint.path}`
          : `${route.method} ${route.path}`,
  }))
  return { made, port, origin: `https://localhost:${port}`, routes: named }
}
type Bench = Awaited<ReturnType<typeof bench>>

/** Pages have none. */
const jsonIn = (text: string): Record<string, unknown> =>
  text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}

function ask(
  { port, origin }: Bench,
  method: string,
  path: string,
  options: { readonly body?: unknown; readonly headers?: Record<string, string | undefined> } = {},
): Promise<Answer> {
  const type = method === 'DELETE' ? {} : { 'content-type': 'application/json' }
  const defaults = { host: `localhost:${port}`, origin, ...type }
  const headers = Object.entries({ ...defaults, ...options.headers }).filter(([, value]) => value !== undefined)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        agent: false,
        ca: keyPairs.primary.cert,
        servername: 'localhost',
        headers: Object.fromEntries(headers) as Record<string, string>,
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            cookies: incoming.headers['set-cookie'] ?? [],
            json: jsonIn(Buffer.concat(chunks).toString()),
          }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(options.body === undefined ? undefined : JSON.stringify(options.body))
  })
}

/** A browser: keeps its cookies, and the token that its page read. */
class Browser {
  readonly #bench: Bench
  readonly jar = new Map<string, string>()
  token = ''

  constructor(bench: Bench) {
    this.#bench = bench
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string | undefined> = {}) {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await ask(this.#bench, method, path, {
      body,
      headers: { ...(cookie === '' ? {} : { cookie }), 'x-csrf-token': this.token, ...headers },
    })
    for (const line of answer.cookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') this.jar.delete(name)
      else this.jar.set(name, value)
    }
    if (typeof answer.json.csrfToken === 'string') this.token = answer.json.csrfToken
    return answer
  }

  open(): Promise<Answer> {
    return this.send('GET', '/webapi/session')
  }

  async login(user = 'alice', secret = password): Promise<Answer> {
    if (this.token === '') await this.open()
    return this.send('POST', '/webapi/session', { user, password: secret })
  }
}

const expectLoggedOut = async (browser: Browser) => {
  expect((await browser.send('GET', '/webapi/nodes')).status).toBe(401)
  expect((await browser.open()).json.user).toBeUndefined()
}

describe('a browser', () => {
  test('logs in, sees who it is and its servers, and logs out', async () => {
    const made = await bench()
    const browser = new Browser(made)
    expect((await browser.open()).json).toMatchObject({ clusterName: 'example', secondFactor: 'off' })
    expect((await browser.login()).json).toMatchObject({ user: { name: 'alice', logins: ['root'] } })
    expect((await browser.open()).json).toMatchObject({ user: { name: 'alice' } })
    expect((await browser.send('GET', '/webapi/nodes?search=ENV=dev')).json).toMatchObject({
      items: [{ hostname: 'n1', logins: ['root'] }],
      matching: 1,
    })
    expect((await browser.send('POST', '/webapi/session/end', {})).status).toBe(200)
    await expectLoggedOut(browser)
  })

  test('a wrong password gets the words of every login, and no cookie', async () => {
    const browser = new Browser(await bench())
    const answers = [await browser.login('alice', 'wrong'), await browser.login('nobody', 'wrong')]
    for (const { status, json, cookies } of answers) {
      expect(status).toBe(403)
      expect(json).toMatchObject({ error: { message: 'access denied: wrong user name, password or code' } })
      expect(cookies).toEqual([])
    }
  })

  test('A2 calls auth with the rights of its user and no others, and is told which they are', async () => {
    const made = await bench()
    const admin = made.made.as(adminCaller)
    await admin.call(routes.putUser, { params: { name: 'bob' }, body: { roles: ['editor'], traits: {} } })
    const [alice, bob] = [new Browser(made), new Browser(made)]
    await alice.login()
    await bob.login('bob')
    const callsOf = async (browser: Browser) => ((await browser.open()).json.user as { calls: string[] }).calls
    expect(await callsOf(alice)).not.toContain('GET /v1/users')
    expect(await callsOf(bob)).toContain('GET /v1/users')
    expect((await alice.send('GET', '/webapi/v1/users')).status).toBe(403)
    expect((await alice.send('GET', '/webapi/openapi')).status).toBe(403)
    expect((await bob.send('GET', '/webapi/v1/users?limit=1')).json).toMatchObject({ items: [{ name: 'alice' }] })
    const lock = { target: { user: 'alice' }, message: 'away' }
    expect((await alice.send('POST', '/webapi/v1/locks', lock)).status).toBe(403)
    expect((await bob.send('POST', '/webapi/v1/locks', lock)).status).toBe(200)
    await expectLoggedOut(alice)
    // The documents are for those who administer something.
    expect((await bob.send('GET', '/webapi/openapi')).json).toMatchObject({ paths: { '/webapi/v1/users': {} } })
    // What gives out certificates is not for pages.
    expect((await bob.send('POST', '/webapi/v1/certificates/renew', {})).status).toBe(404)
  })

  test('A1 nothing is answered without a session but who one is', async () => {
    const made = await bench()
    expect((await ask(made, 'GET', '/webapi/nodes')).status).toBe(401)
    expect((await ask(made, 'GET', '/webapi/openapi')).status).toBe(401)
    expect(
      (await ask(made, 'GET', '/webapi/nodes', { headers: { cookie: `${sessionCookie}=${'0'.repeat(32)}` } })).status,
    ).toBe(401)
  })
})

describe('W1 what a foreign page can send', () => {
  const posts = ['/webapi/session', '/webapi/session/renew', '/webapi/session/end']
  const forged: readonly { name: string; headers: Record<string, string | undefined> }[] = [
    { name: 'without a token', headers: { 'x-csrf-token': undefined } },
    { name: 'with a token of its own', headers: { 'x-csrf-token': 'A'.repeat(43) } },
    { name: 'from another origin', headers: { origin: 'https://evil.example' } },
    { name: 'from the origin null', headers: { origin: 'null' } },
    { name: 'from plain HTTP of this host', headers: { origin: 'http://localhost' } },
    { name: 'without an origin', headers: { origin: undefined } },
    { name: 'from a neighbour, as the browser says', headers: { 'sec-fetch-site': 'same-site' } },
  ]
  test('is refused, and nothing changes', async () => {
    const browser = new Browser(await bench())
    await browser.login()
    for (const { name, headers } of forged) {
      for (const path of posts) {
        const body = path === '/webapi/session' ? { user: 'bob', password } : {}
        const answer = await browser.send('POST', path, body, headers)
        expect(answer.status, `${path} ${name}`).toBe(403)
        expect(answer.cookies).toEqual([])
      }
    }
    expect((await browser.open()).json).toMatchObject({ user: { name: 'alice' } })
  })

  test('nobody is logged in by somebody else: the login too needs the token of a page that this browser opened', async () => {
    const made = await bench()
    const victim = new Browser(made)
    const attacker = new Browser(made)
    await attacker.open()
    const body = { user: 'bob', password }
    for (const headers of [{}, { 'x-csrf-token': attacker.token }]) {
      expect((await victim.send('POST', '/webapi/session', body, headers)).status).toBe(403)
    }
    await victim.open()
    expect((await victim.send('POST', '/webapi/session', body, { 'x-csrf-token': attacker.token })).status).toBe(403)
  })

  test('a token of another session, and one from before the renewal, are good for nothing', async () => {
    const made = await bench()
    const [alice, bob] = [new Browser(made), new Browser(made)]
    await alice.login()
    await bob.login('bob')
    expect((await alice.send('POST', '/webapi/session/end', {}, { 'x-csrf-token': bob.token })).status).toBe(403)
    const stale = alice.token
    await alice.send('POST', '/webapi/session/renew', {})
    expect((await alice.send('POST', '/webapi/session/end', {}, { 'x-csrf-token': stale })).status).toBe(403)
    expect((await alice.send('POST', '/webapi/session/end', {})).status).toBe(200)
  })

  test('a form cannot send what is read as JSON', async () => {
    const browser = new Browser(await bench())
    await browser.open()
    const answer = await browser.send(
      'POST',
      '/webapi/session',
      { user: 'bob', password },
      { 'content-type': 'text/plain' },
    )
    expect(answer.status).toBe(415)
  })
})

describe('W5 W6 cookies and sessions', () => {
  test('every cookie is closed to scripts, other hosts, other sites and plain HTTP, and changes at login', async () => {
    const made = await bench()
    const browser = new Browser(made)
    const lines = [...(await browser.open()).cookies]
    const visitor = browser.jar.get(visitorCookie)
    lines.push(...(await browser.login()).cookies)
    const first = browser.jar.get(sessionCookie)
    lines.push(...(await browser.send('POST', '/webapi/session/renew', {})).cookies)
    expect(new Set([visitor, first, browser.jar.get(sessionCookie)]).size).toBe(3)
    lines.push(...(await browser.send('POST', '/webapi/session/end', {})).cookies)
    expect(lines.length).toBeGreaterThan(4)
    for (const line of lines) {
      expect(line).toMatch(/^__Host-[a-z-]+=[0-9a-f]{0,32}; Path=\/; Secure; HttpOnly; SameSite=Strict(; Max-Age=0)?$/)
    }
  })

  test('a cookie that somebody planted does not become a session', async () => {
    const made = await bench()
    const browser = new Browser(made)
    const planted = 'f'.repeat(32)
    browser.jar.set(sessionCookie, planted)
    await browser.open()
    await browser.login()
    expect(browser.jar.get(sessionCookie)).not.toBe(planted)
    const other = new Browser(made)
    other.jar.set(sessionCookie, planted)
    await expectLoggedOut(other)
  })

  test('a second login ends the first: two users never mix in one browser', async () => {
    const made = await bench()
    const browser = new Browser(made)
    await browser.login('alice')
    const old = new Browser(made)
    old.jar.set(sessionCookie, browser.jar.get(sessionCookie) ?? '')
    await browser.login('bob')
    expect((await browser.open()).json).toMatchObject({ user: { name: 'bob' } })
    await expectLoggedOut(old)
  })

  const endings: readonly { name: string; end: (made: TestServices, browser: Browser) => Promise<unknown> }[] = [
    { name: 'logout', end: (_made, browser) => browser.send('POST', '/webapi/session/end', {}) },
    {
      name: 'renewal, for the old cookie',
      end: (_made, browser) => browser.send('POST', '/webapi/session/renew', {}),
    },
    {
      name: 'another password',
      end: (made) =>
        made
          .as(adminCaller)
          .call(routes.setPassword, { params: { name: 'alice' }, body: { password: 'another password' } }),
    },
    {
      name: 'the loss of its roles',
      end: (made) =>
        made
          .as(adminCaller)
          .call(routes.putUser, { params: { name: 'alice' }, body: { roles: ['auditor'], traits: {} } }),
    },
  ]
  test.each(endings)('after $name the old cookie is dead at once', async ({ end }) => {
    const { made, ...rest } = await bench()
    const browser = new Browser({ made, ...rest })
    await browser.login()
    const copy = new Browser({ made, ...rest })
    copy.jar.set(sessionCookie, browser.jar.get(sessionCookie) ?? '')
    expect((await copy.send('GET', '/webapi/nodes')).status).toBe(200)
    await end(made, browser)
    await expectLoggedOut(copy)
  })

  test('logout everywhere ends the sessions of other browsers, and of nobody else', async () => {
    const made = await bench()
    const [one, two, bob] = [new Browser(made), new Browser(made), new Browser(made)]
    await one.login()
    await two.login()
    await bob.login('bob')
    await one.send('POST', '/webapi/session/end', { everywhere: true })
    await expectLoggedOut(one)
    await expectLoggedOut(two)
    expect((await bob.open()).json).toMatchObject({ user: { name: 'bob' } })
  })
})

/**
 * One row for each route of port 3080, written by hand (SECURITY A1): `everybody` answers whoever comes, and looks at no cookie;
 * `page` answers a page of ours, logged in or not; `session` answers whoever is logged in. What changes something also needs the
 * origin and the token of the page unless `everybody` may call it. A new route needs a row here; a new kind of caller (half way
 * through a login, locked) a line in `callers`.
 */
const openTo: Readonly<Record<string, 'everybody' | 'page' | 'session' | 'auth'>> = {
  'GET /': 'everybody',
  'GET /web/invite/:token': 'everybody',
  'GET /web/reset/:token': 'everybody',
  'GET /web/mfa/:token': 'everybody',
  'GET /web/assets/page.js': 'everybody',
  'GET /webapi/ping': 'everybody',
  'GET /webapi/authorities': 'everybody',
  'POST /webapi/ssh/certs': 'everybody',
  'POST /webapi/login/begin': 'everybody',
  'POST /webapi/login/ceremony': 'everybody',
  'POST /webapi/ceremonies/open': 'everybody',
  'POST /webapi/ceremonies/answer': 'everybody',
  'POST /webapi/invites/webauthn': 'everybody',
  'POST /webapi/invites/open': 'everybody',
  'POST /webapi/password': 'everybody',
  'POST /webapi/password/ceremony': 'everybody',
  'POST /webapi/invites/accept': 'everybody',
  'GET /webapi/session': 'page',
  'POST /webapi/session': 'page',
  'POST /webapi/session/renew': 'session',
  'POST /webapi/session/end': 'session',
  'GET /webapi/nodes': 'session',
  // And then for those whose roles have a rule: 'A2 calls auth with the rights of its user'.
  'GET /webapi/openapi': 'auth',
  // Answered by auth, with the rights of the user: who may call what there is the table of `src/auth/access.test.ts`.
  ...Object.fromEntries(
    `GET /v1/status · GET /v1/config · GET /v1/authorities · GET /v1/authorities/rotation · POST /v1/authorities/rotate
     GET /v1/presence · GET /v1/access/explain · DELETE /v1/presence/:role/:uuid · POST /v1/tokens · GET /v1/tokens · DELETE /v1/tokens/:name
     POST /v1/users · GET /v1/users · GET /v1/users/:name · PUT /v1/users/:name · DELETE /v1/users/:name
     POST /v1/users/:name/reset · GET /v1/users/:name/devices · DELETE /v1/users/:name/devices/:id
     GET /v1/roles · GET /v1/roles/:name · PUT /v1/roles/:name · DELETE /v1/roles/:name
     GET /v1/settings/auth-preference · PUT /v1/settings/auth-preference · DELETE /v1/settings/auth-preference
     GET /v1/settings/networking · PUT /v1/settings/networking · DELETE /v1/settings/networking
     GET /v1/settings/session-recording · PUT /v1/settings/session-recording · DELETE /v1/settings/session-recording
     POST /v1/locks · GET /v1/locks · GET /v1/locks/:id · DELETE /v1/locks/:id
     POST /v1/access-requests · GET /v1/access-requests · GET /v1/access-requests/:id
     GET /v1/requestable-roles
     POST /v1/access-requests/:id/reviews · PUT /v1/access-requests/:id/state · DELETE /v1/access-requests/:id
     GET /v1/sessions · GET /v1/sessions/:sid · GET /v1/recordings · GET /v1/recordings/:sid · GET /v1/recordings/:sid/chunks
     GET /v1/audit/events · GET /v1/audit/export · GET /v1/audit/verify
     POST /v1/mfa/ceremonies · POST /v1/mfa/devices/begin · POST /v1/mfa/devices · GET /v1/mfa/devices · POST /v1/mfa/devices/remove
     POST /v1/mfa/recovery-codes · GET /v1/web/sessions · DELETE /v1/web/sessions/:id`
      .split(/·|\n/)
      .map((line) => [line.trim().replace(' /', ' /webapi/'), 'auth' as const]),
  ),
}

describe('A1 every route against every caller', () => {
  type Kind = 'stranger' | 'page' | 'session' | 'foreign'
  interface Caller {
    readonly name: string
    /** What it amounts to. */
    readonly is: Kind
    make(bench: Bench): Promise<{ readonly browser: Browser; readonly headers?: Record<string, string | undefined> }>
  }
  const loggedIn = async (made: Bench): Promise<Browser> => {
    const browser = new Browser(made)
    expect((await browser.login()).status).toBe(200)
    return browser
  }
  const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  const callers: readonly Caller[] = [
    {
      name: 'a program without anything',
      is: 'stranger',
      make: async (made) => ({ browser: new Browser(made), headers: { origin: undefined, 'x-csrf-token': undefined } }),
    },
    {
      name: 'a page before the login',
      is: 'page',
      async make(made) {
        const browser = new Browser(made)
        await browser.open()
        return { browser }
      },
    },
    {
      name: 'a page after half a login: the password was wrong',
      is: 'page',
      async make(made) {
        const browser = new Browser(made)
        expect((await browser.login('alice', 'wrong')).status).toBe(403)
        return { browser }
      },
    },
    {
      name: 'a page that made up a session and its token',
      is: 'page',
      async make(made) {
        const browser = new Browser(made)
        browser.jar.set(sessionCookie, 'f'.repeat(32))
        browser.token = csrfTokenOf('f'.repeat(32))
        return { browser }
      },
    },
    { name: 'a page of a user', is: 'session', make: async (made) => ({ browser: await loggedIn(made) }) },
    {
      name: 'the cookie and token of a session that was ended',
      is: 'page',
      async make(made) {
        const browser = await loggedIn(made)
        const [cookie = '', { token }] = [browser.jar.get(sessionCookie), browser]
        await browser.send('POST', '/webapi/session/end', {})
        browser.jar.set(sessionCookie, cookie)
        browser.token = token
        return { browser }
      },
    },
    {
      name: 'the cookie and token of a user who was removed',
      is: 'page',
      async make(made) {
        const browser = await loggedIn(made)
        await made.made.as(adminCaller).call(routes.deleteUser, { params: { name: 'alice' } })
        return { browser }
      },
    },
    {
      name: 'the cookie and token of a user who was locked',
      is: 'page',
      async make(made) {
        const browser = await loggedIn(made)
        await made.made.as(adminCaller).call(routes.createLock, { body: { target: { user: 'alice' } } })
        return { browser }
      },
    },
    {
      name: 'a foreign page in the browser of a user',
      is: 'foreign',
      make: async (made) => ({ browser: await loggedIn(made), headers: { ...foreign, 'x-csrf-token': undefined } }),
    },
    {
      name: 'a foreign page that knows the token',
      is: 'foreign',
      make: async (made) => ({ browser: await loggedIn(made), headers: foreign }),
    },
  ]

  /** 200 and 400 (the body is empty) are answers; the others are refusals. */
  const expected = (open: (typeof openTo)[string], method: string, is: Kind): readonly number[] => {
    // Auth has words of its own, after the guard of the page.
    const answered = open === 'auth' ? [200, 400, 403, 404] : [200, 400]
    if (open === 'everybody') return answered
    if (is === 'foreign') return [403]
    if (is === 'stranger' && method !== 'GET') return [403]
    if (open === 'page' || is === 'session') return answered
    return [401]
  }

  test('every route has a row, and every row a route', async () => {
    const { routes: all } = await bench()
    expect(all.map((route) => route.name).sort()).toEqual(Object.keys(openTo).sort())
  })

  test.each(callers)('$name', async ({ make, is }) => {
    const { browser, headers } = await make(await bench())
    const kept = { jar: [...browser.jar], token: browser.token }
    // The end of the session comes last, since whoever is logged in is not any more after it.
    const last = 'POST /webapi/session/end'
    for (const name of [...Object.keys(openTo).filter((each) => each !== last), last]) {
      const [method = '', path = ''] = name.split(' ')
      // Whoever is refused does not get further with what an answer before gave or took.
      if (is !== 'session') {
        browser.jar.clear()
        for (const [cookie, value] of kept.jar) browser.jar.set(cookie, value)
        browser.token = kept.token
      }
      const body = method === 'GET' || method === 'DELETE' ? undefined : {}
      const { status, cookies } = await browser.send(
        method,
        path.replace(/:(token|name|id|sid|role|uuid)/g, '0'.repeat(32)),
        body,
        headers,
      )
      expect(expected(openTo[name] ?? 'session', method, is), `${name}: ${status}`).toContain(status)
      if (openTo[name] === 'everybody' || is === 'foreign') expect(cookies, name).toEqual([])
    }
  })
})
