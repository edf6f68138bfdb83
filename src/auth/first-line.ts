/** The line before the agent protocol on a stream of a proxy: the token of the session. */

import type { Duplex } from 'node:stream'
import type { Env } from '../common/env.ts'
import { AccessDenied } from '../errors/errors.ts'

/** Bytes of a first line, and milliseconds for it. */
const maxLine = 300
const lineTimeout = 10_000

/** The first line of a stream; what follows stays in it. Throws AccessDenied. */
export async function readLine(stream: Duplex, env: Env): Promise<string> {
  const over = new AbortController()
  const late = env.sleep(lineTimeout, over.signal).then(
    () => stream.destroy(),
    () => undefined,
  )
  try {
    let line = Buffer.alloc(0)
    for (;;) {
      const chunk: unknown = stream.read()
      if (!Buffer.isBuffer(chunk)) {
        if (stream.destroyed || stream.readableEnded) throw new AccessDenied('the stream ended before its first line')
        await moved(stream)
        continue
      }
      const end = chunk.indexOf('\n')
      line = Buffer.concat([line, end < 0 ? chunk : chunk.subarray(0, end)])
      if (line.length > maxLine) throw new AccessDenied('the first line is too long')
      if (end < 0) continue
      if (end + 1 < chunk.length) stream.unshift(chunk.subarray(end + 1))
      return line.toString('utf8')
    }
  } finally {
    over.abort()
    await late
  }
}

async function moved(stream: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const events = ['readable', 'end', 'close'] as const
  for (const event of events) stream.once(event, resolve)
  await promise
  for (const event of events) stream.off(event, resolve)
}
