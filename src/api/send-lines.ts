/** Streams of lines as answers: one JSON object a line, as fast as the caller reads and no faster. */

import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Endpoint } from './endpoint.ts'

/** Lines that are JSON already, each with its line feed; for streams that send the same text to many followers. */
export class PreparedLines {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Sends values as lines. An error after the first line can only cut the connection; before it, the caller gets its kind. */
export async function sendLines(
  reply: FastifyReply,
  endpoint: Endpoint,
  values: AsyncIterable<unknown>,
): Promise<FastifyReply> {
  const iterator = values[Symbol.asyncIterator]()
  const first = await iterator.next()
  const lines = async function* () {
    try {
      for (let next = first; next.done !== true; next = await iterator.next()) yield toText(endpoint, next.value)
    } finally {
      await iterator.return?.()
    }
  }
  // A few chunks ahead at most: the queue that counts is the producer's, which knows what to do when it is full.
  const stream = Readable.from(lines(), { objectMode: true, highWaterMark: 2 })
  return reply.header('content-type', 'application/x-ndjson').send(stream)
}

function toText(endpoint: Endpoint, value: unknown): string {
  if (value instanceof PreparedLines) return value.text
  return `${JSON.stringify(endpoint.output.parse(value))}\n`
}
