/** The API without SSH: a client whose connections are pairs of streams inside this process. For tests. */

import { type Duplex, duplexPair } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Env } from '../../common/env.ts'
import { serveStream } from '../app.ts'
import type { Caller } from '../caller.ts'
import { ChannelAgent } from '../channel-agent.ts'
import { type ApiClient, createApiClient } from '../client.ts'

/** Who is at the other end of a stream, as SSH would have said. */
export class TestCallers {
  readonly #callers = new WeakMap<object, () => Caller>()
  readonly of = (socket: object): Caller | undefined => this.#callers.get(socket)?.()

  /** A connected stream to the app. A function is asked with each request, as the SSH front does. */
  open(app: FastifyInstance, caller: Caller | (() => Caller) | undefined): Duplex {
    const [near, far] = duplexPair()
    if (caller !== undefined) this.#callers.set(far, typeof caller === 'function' ? caller : () => caller)
    serveStream(app, far)
    return near
  }

  client(
    app: FastifyInstance,
    caller: Caller | undefined,
    options: { timeoutMs?: number; env?: Env } = {},
  ): ApiClient & { close(): void } {
    const agent = new ChannelAgent({ openStream: async () => this.open(app, caller) })
    return {
      ...createApiClient({ agent, host: 'auth.teleport.api', peer: 'the auth server', ...options }),
      close: () => agent.destroy(),
    }
  }
}
