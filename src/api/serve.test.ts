import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { silentLogger } from '../common/log.ts'
import { AccessDenied, BadParameter, CompareFailed, ConnectionProblem, LimitExceeded } from '../errors/errors.ts'
import type { Caller } from './caller.ts'
import { endpoint } from './define.ts'
import { createApiApp, PreparedLines, serve } from './serve.ts'
import { TestCallers } from './testing/in-process.ts'

const echo = endpoint({
  method: 'POST',
  path: '/v1/echo/:id',
  summary: 'test',
  callers: ['Admin', 'User'],
  userRule: { resource: 'user', verb: 'update' },
  params: z.strictObject({ id: z.string() }),
  query: z.strictObject({ limit: z.coerce.number().int().min(1).max(10).default(5) }),
  body: z.strictObject({ text: z.string(), count: z.number().optional() }),
  output: z.strictObject({ id: z.string(), text: z.string(), limit: z.number(), caller: z.string() }),
  maxBody: 1000,
})
const fails = endpoint({
  method: 'GET',
  path: '/v1/fails/:how',
  summary: 'test',
  callers: ['Admin'],
  params: z.strictObject({ how: z.string() }),
  output: z.strictObject({}),
})
const many = endpoint({
  method: 'GET',
  path: '/v1/many',
  summary: 'test',
  callers: ['Admin'],
  query: z.strictObject({ lines: z.coerce.number() }),
  output: z.strictObject({ n: z.number() }),
  stream: true,
})
const forUsers = endpoint({
  method: 'GET',
  path: '/v1/unstated',
  summary: 'test',
  callers: ['User'],
  output: z.strictObject({}),
})

const admin: Caller = { role: 'Admin', name: 'admin', address: '127.0.0.1' }
const node: Caller = { role: 'Node', name: 'n', address: '127.0.0.1' }

interface Bench {
  readonly app: FastifyInstance
  readonly callers: TestCallers
  produced: number
}

async function bench(): Promise<Bench> {
  const callers = new TestCallers()
  const app = await createApiApp({
    logger: silentLogger,
    callerOf: callers.of,
    checkRule: (caller, rule) =>
      caller.name === 'bob' ? undefined : `no role allows to ${rule.verb} ${rule.resource}`,
  })
  const state: Bench = { app, callers, produced: 0 }
  serve(app, echo, async ({ caller, params, query, body }) => ({
    id: params.id,
    text: body.text,
    limit: query.limit,
    caller: caller.name,
  }))
  serve(app, fails, async ({ params }) => {
    if (params.how === 'kind') throw new CompareFailed('somebody else changed it')
    if (params.how === 'extra') return { secret: 'leak' } as unknown as Record<string, never>
    throw new Error('secret detail of a bug')
  })
  serve(app, many, async function* ({ query }) {
    for (let n = 0; n < query.lines; n++) {
      state.produced++
      yield n === 0 ? new PreparedLines('{"n":0}\n') : { n }
    }
  })
  serve(app, forUsers, async () => ({}))
  await app.ready()
  onTestFinished(() => app.close())
  return state
}

/** Sends bytes as they are and gives everything that comes back. */
async function raw(
  { app, callers }: Bench,
  request: string | Buffer,
  caller: Caller | undefined = admin,
): Promise<string> {
  const stream: Duplex = callers.open(app, caller)
  stream.on('error', () => undefined)
  stream.write(request)
  return text(stream)
}

const post = (body: string, headers = 'content-type: application/json\r\n', path = '/v1/echo/x'): string =>
  `POST ${path} HTTP/1.1\r\nhost: a\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`

test('a call arrives typed and comes back typed', async () => {
  const { app, callers } = await bench()
  const client = callers.client(app, admin)
  const answer = await client.call(echo, { params: { id: 'ä/../x' }, query: { limit: '7' }, body: { text: 'hello' } })
  expect(answer).toEqual({ id: 'ä/../x', text: 'hello', limit: 7, caller: 'admin' })
  client.close()
})

test('errors come back as the class that was thrown; bugs and undeclared fields tell nothing', async () => {
  const { app, callers } = await bench()
  const client = callers.client(app, admin)
  await expect(client.call(fails, { params: { how: 'kind' } })).rejects.toThrow(
    new CompareFailed('somebody else changed it'),
  )
  for (const how of ['bug', 'extra']) {
    const error = await client.call(fails, { params: { how } }).catch((caught: unknown) => caught)
    expect(String(error)).toMatch(/internal error/)
    expect(JSON.stringify(error)).not.toMatch(/secret|leak/)
  }
  client.close()
})

test.each([
  { name: 'no identity', caller: undefined, reason: /no identity/ },
  { name: 'another built-in role', caller: node, reason: /role Node may not/ },
  { name: 'a user whose roles do not allow it', caller: user('alice'), reason: /no role allows to update user/ },
])('$name is refused before the body is read', async ({ caller, reason }) => {
  const { app, callers } = await bench()
  const stream = callers.open(app, caller)
  stream.on('error', () => undefined)
  // The body never comes: an answer now proves that nobody waited for it.
  stream.write('POST /v1/echo/x HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n')
  const answer = await text(stream)
  expect(answer).toMatch(/^HTTP\/1.1 403/)
  expect(answer).toMatch(/connection: close/i)
  expect(answer).toMatch(reason)
})

test('a user with the right is served; an endpoint that does not say which users is for none', async () => {
  const { app, callers } = await bench()
  const client = callers.client(app, user('bob'))
  await expect(client.call(echo, { params: { id: 'x' }, body: { text: '' } })).resolves.toMatchObject({ caller: 'bob' })
  await expect(client.call(forUsers)).rejects.toThrow(AccessDenied)
  client.close()
})

test.each([
  { name: 'a missing field', body: '{}', status: 400, says: /"param":"text"/ },
  { name: 'an unknown field', body: '{"text":"","evil":1}', status: 400, says: /"param":"evil"/ },
  { name: 'no JSON', body: 'text=1', status: 400, says: /not valid JSON/ },
  { name: 'deep nesting', body: `{"text":${'['.repeat(300)}${']'.repeat(300)}}`, status: 400, says: /nested deeper/ },
  { name: 'a prototype', body: '{"text":"","__proto__":{"a":1}}', status: 400, says: /__proto__/ },
  { name: 'an escaped prototype', body: '{"text":"","\\u005f_proto__":1}', status: 400, says: /__proto__/ },
  { name: 'a large body', body: `{"text":"${'x'.repeat(2000)}"}`, status: 413, says: /LimitExceeded/ },
])('$name is refused with the name of what is wrong', async ({ body, status, says }) => {
  const answer = await raw(await bench(), post(body))
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(answer).toMatch(says)
  expect(answer).not.toMatch(/node_modules|at /)
})

test.each([
  { name: 'text/plain', request: post('{"text":""}', 'content-type: text/plain\r\n'), status: 415 },
  { name: 'no content type', request: post('{"text":""}', ''), status: 415 },
  {
    name: 'gzip',
    request: post('{"text":""}', 'content-type: application/json\r\ncontent-encoding: gzip\r\n'),
    status: 415,
  },
  { name: 'an unknown path', request: post('{}', undefined, '/v1/other'), status: 404 },
  { name: 'an unknown method', request: post('{"text":""}').replace('POST', 'DELETE'), status: 404 },
  { name: 'a method override', request: post('{"text":""}', 'x-http-method-override: GET\r\n'), status: 415 },
  { name: 'a bad limit', request: post('{"text":""}', undefined, '/v1/echo/x?limit=1e9'), status: 400 },
  { name: 'a negative limit', request: post('{"text":""}', undefined, '/v1/echo/x?limit=-1'), status: 400 },
  { name: 'an unknown query', request: post('{"text":""}', undefined, '/v1/echo/x?a=1'), status: 400 },
  { name: '1 MiB of headers', request: post('{}', `x: ${'y'.repeat(1024 * 1024)}\r\n`), status: 431 },
  {
    name: 'length and chunks at once',
    request: post('{"text":""}', 'content-type: application/json\r\ntransfer-encoding: chunked\r\n'),
    status: 400,
  },
  { name: 'no HTTP', request: 'SSH-2.0-x\r\n', status: 400 },
])('$name gives $status in our form', async ({ request, status }) => {
  const answer = await raw(await bench(), request)
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(answer).toMatch(/\{"error":\{"kind":"/)
})

test('an endless body is cut at its limit', async () => {
  const { app, callers } = await bench()
  const stream = callers.open(app, admin)
  stream.on('error', () => undefined)
  stream.write(
    'POST /v1/echo/x HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
  )
  const answer = text(stream)
  const chunk = `400\r\n${' '.repeat(1024)}\r\n`
  for (let i = 0; i < 4 && stream.writable; i++) stream.write(chunk)
  expect(await answer).toMatch(/^HTTP\/1.1 413 /)
})

test('lines are produced as the reader takes them, and no further than the buffers', async () => {
  const state = await bench()
  const client = state.callers.client(state.app, admin)
  let seen = 0
  for await (const { n } of client.stream(many, { query: { lines: 1_000_000 } })) {
    expect(n).toBe(seen++)
    if (seen === 10) break
  }
  expect(state.produced).toBeLessThan(100_000)
  client.close()
})

test('a stream that ends ends the loop', async () => {
  const { app, callers } = await bench()
  const client = callers.client(app, admin)
  const lines: number[] = []
  for await (const { n } of client.stream(many, { query: { lines: 3 } })) lines.push(n)
  expect(lines).toEqual([0, 1, 2])
  client.close()
})

test('no answer in time is a ConnectionProblem that says what to do', async () => {
  const { app, callers } = await bench()
  const silent = endpoint({
    method: 'GET',
    path: '/v1/silent',
    summary: 'test',
    callers: ['Admin'],
    output: z.strictObject({}),
  })
  const { promise } = Promise.withResolvers<Record<string, never>>()
  const own = await createApiApp({ logger: silentLogger, callerOf: callers.of })
  serve(own, silent, () => promise)
  await own.ready()
  onTestFinished(() => own.close())
  const client = callers.client(own, admin, { timeoutMs: 20 })
  await expect(client.call(silent)).rejects.toThrow(ConnectionProblem)
  await expect(client.call(silent)).rejects.toThrow(/did not answer within .* check that it is up/)
  client.close()
  void app
})

test('a request that is not finished in time is answered 408', async () => {
  const { app, callers } = await bench()
  Object.assign(app.server, { headersTimeout: 100, requestTimeout: 100 })
  const stream = callers.open(app, admin)
  stream.on('error', () => undefined)
  stream.write('POST /v1/echo/x HTTP/1.1\r\nhost: a\r\n')
  expect(await text(stream)).toMatch(/^HTTP\/1.1 408 .*/)
})

test('errors have their kind on the client', async () => {
  const { app, callers } = await bench()
  const client = callers.client(app, admin)
  const long = { params: { id: 'x' }, body: { text: 'x'.repeat(2000) } }
  await expect(client.call(echo, long)).rejects.toThrow(LimitExceeded)
  const wrong = { params: { id: 'x' }, body: { text: 1 as unknown as string } }
  await expect(client.call(echo, wrong)).rejects.toThrow(BadParameter)
  client.close()
})

function user(name: string): Caller {
  const identity = { user: name } as unknown as NonNullable<Caller['user']>
  return { role: 'User', name, address: '127.0.0.1', user: identity }
}
