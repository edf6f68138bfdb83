/** Requests that wait for their answer: a proxy that stops, which a reload does to the old one, still answers them. */

import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Env } from '../../common/env.ts'

/** Milliseconds for what is under way. */
const graceMs = 3_000

export class InFlight {
  readonly #requests = new Set<FastifyRequest>()
  readonly #env: Env
  #leaving = false
  #onNone: (() => void) | undefined

  constructor(app: FastifyInstance, env: Env) {
    this.#env = env
    app.addHook('onRequest', async (request, reply) => {
      this.#requests.add(request)
      // Also for who hangs up before the answer.
      reply.raw.once('close', () => this.#over(request))
    })
    app.addHook('onSend', async (request, reply, payload) => {
      if (this.#leaving) reply.header('connection', 'close')
      // What has no end that is known may go on for hours.
      if (payload instanceof Readable && !reply.hasHeader('content-length')) this.#over(request)
      return payload
    })
  }

  /** Resolves when all that was asked has been answered, or after three seconds. Connections are not kept from then on. */
  async leave(): Promise<void> {
    this.#leaving = true
    if (this.#requests.size === 0) return
    const answered = new AbortController()
    this.#onNone = () => answered.abort()
    await this.#env.sleep(graceMs, answered.signal).catch(() => undefined)
  }

  #over(request: FastifyRequest): void {
    this.#requests.delete(request)
    if (this.#requests.size === 0) this.#onNone?.()
  }
}
