/** The typed client of the auth API (and, over HTTPS, of the web API): one call for every endpoint object. */

import http from 'node:http'
import https from 'node:https'
import { type Env, realEnv } from '../common/env.ts'
import { ConnectionProblem, KindError } from '../errors/errors.ts'
import { errorFromJson } from '../errors/json.ts'
import { convertSystemError } from '../errors/system.ts'
import type { CallArguments, CallOutput } from './call-types.ts'
import { type Deadline, deadline } from './deadline.ts'
import type { Endpoint } from './endpoint.ts'
import { splitLines } from './ndjson.ts'

export type { CallArguments, CallInput, CallOutput } from './call-types.ts'

export interface ApiClient {
  /**
   * Calls one endpoint. Refusals arrive as the class that the server threw; no answer within 30 s, or no connection, as
   * ConnectionProblem.
   */
  call<E extends Endpoint>(endpoint: E, ...args: CallArguments<E>): Promise<CallOutput<E>>
  /** Follows a `stream: true` endpoint until the signal, the server or a silence of 60 s ends it. */
  stream<E extends Endpoint>(endpoint: E, ...args: CallArguments<E>): AsyncIterable<CallOutput<E>>
}

export interface ApiClientOptions {
  /** Brings the connections. An `https.Agent` makes the calls HTTPS. */
  readonly agent: http.Agent | https.Agent
  readonly host: string
  readonly port?: number
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** For messages: "the auth server", "the proxy example.com:3080". */
  readonly peer: string
  /** Milliseconds for a call. Default 30,000. The longest silence of a stream is twice that. */
  readonly timeoutMs?: number
  readonly env?: Env
}

/** Bytes. A page of 1,000 servers with many labels fits. */
const maxAnswerBytes = 64 * 1024 * 1024

type Input = { readonly params?: unknown; readonly query?: unknown; readonly body?: unknown }

export function createApiClient(options: ApiClientOptions): ApiClient {
  const { env = realEnv, timeoutMs = 30_000, peer } = options
  const silenceMs = 2 * timeoutMs
  const timedOut = (ms: number) => () =>
    new ConnectionProblem(`${peer} did not answer within ${ms / 1000} s; check that it is up and try again`)

  return {
    async call(endpoint, ...[input, signal]) {
      const limit = deadline(env, timeoutMs, timedOut(timeoutMs), signal)
      try {
        const response = await send(options, endpoint, (input ?? {}) as Input, limit.signal)
        const { status, json } = await readAnswer(response, peer)
        if (status < 200 || status > 299) throw errorFromJson(json, status)
        return parseOutput(endpoint, json, peer)
      } catch (error) {
        throw explain(error, limit.signal, peer)
      } finally {
        limit.dispose()
      }
    },

    async *stream(endpoint, ...[input, signal]) {
      const over = new AbortController()
      const outer = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal])
      // One deadline after the other, each started by a sign of life.
      let silence: Deadline = deadline(env, silenceMs, timedOut(silenceMs))
      const heard = () => {
        silence.dispose()
        silence = deadline(env, silenceMs, timedOut(silenceMs))
        silence.signal.addEventListener('abort', () => over.abort(silence.signal.reason), { once: true })
      }
      heard()
      try {
        const response = await send(options, endpoint, (input ?? {}) as Input, outer)
        if (response.statusCode !== 200) {
          const { status, json } = await readAnswer(response, peer)
          throw errorFromJson(json, status)
        }
        for await (const line of splitLines(response)) {
          heard()
          // Only says that the server is there.
          if (line === '') continue
          yield parseOutput(endpoint, parseJson(line, peer), peer)
        }
      } catch (error) {
        throw explain(error, outer, peer)
      } finally {
        silence.dispose()
        over.abort(new ConnectionProblem('the stream was closed'))
      }
    },
  }
}

/** Sends the request and resolves with the head of the answer. */
function send(
  options: ApiClientOptions,
  endpoint: Endpoint,
  input: Input,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
  const body = endpoint.method === 'GET' || endpoint.method === 'DELETE' ? undefined : JSON.stringify(input.body ?? {})
  const { agent, host, port, peer } = options
  const request = (agent instanceof https.Agent ? https : http).request({
    agent,
    host,
    ...(port === undefined ? {} : { port }),
    method: endpoint.method,
    path: pathOf(endpoint, input),
    headers: {
      accept: 'application/json',
      ...options.headers,
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
    },
  })
  const abort = () => request.destroy(signal.reason instanceof Error ? signal.reason : undefined)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  request.once('close', () => signal.removeEventListener('abort', abort))
  request.once('response', resolve)
  request.once('error', (error) => reject(explain(error, signal, peer)))
  request.end(body)
  return promise
}

/** Our own reasons pass; what the socket says becomes a ConnectionProblem. */
function explain(error: unknown, signal: AbortSignal, peer: string): unknown {
  if (signal.aborted) return signal.reason
  if (error instanceof KindError) return error
  const kind = convertSystemError(error, `reach ${peer}`)
  return kind instanceof ConnectionProblem ? kind : new ConnectionProblem(kind.message, { cause: error })
}

/** The path with its parameters and query. */
function pathOf(endpoint: Endpoint, input: Input): string {
  const params = record(input.params)
  const path = endpoint.path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) => encodeURIComponent(String(params[name])))
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(record(input.query))) {
    if (value !== undefined) query.set(name, String(value))
  }
  return query.size === 0 ? path : `${path}?${query}`
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

async function readAnswer(
  response: http.IncomingMessage,
  peer: string,
): Promise<{ readonly status: number; readonly json: unknown }> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxAnswerBytes) throw new ConnectionProblem(`${peer} sent more than ${maxAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  const status = response.statusCode ?? 0
  const text = Buffer.concat(chunks).toString('utf8')
  if (status >= 200 && status <= 299) return { status, json: parseJson(text, peer) }
  try {
    return { status, json: JSON.parse(text) as unknown }
  } catch {
    return { status, json: undefined }
  }
}

function parseJson(text: string, peer: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new ConnectionProblem(`${peer} answered with something that is not JSON`, { cause: error })
  }
}

function parseOutput<E extends Endpoint>(endpoint: E, json: unknown, peer: string): CallOutput<E> {
  const result = endpoint.output.safeParse(json)
  if (result.success) return result.data as CallOutput<E>
  const where = result.error.issues[0]?.path.join('.') ?? ''
  throw new ConnectionProblem(
    `${peer} answered ${endpoint.method} ${endpoint.path} in a form that this release does not know (${where}); use the same release on both sides`,
    { cause: result.error },
  )
}
