/** Streams of one JSON object a line, with a bound on the line so that a peer cannot fill our memory with an endless one. */

import { ConnectionProblem } from '../errors/errors.ts'

/** Bytes. The largest item is a chunk of a recording, 1 MiB in base64. */
export const maxLineBytes = 1536 * 1024

/** Splits bytes into lines (without the line feed). Throws ConnectionProblem for a line that is too long or cut off at the end. */
export async function* splitLines(source: AsyncIterable<Buffer>, max = maxLineBytes): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let length = 0
  for await (const chunk of source) {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end))
      if (length + end - start > max) throw tooLong(max)
      yield (parts.length === 1 ? chunk.subarray(start, end) : Buffer.concat(parts)).toString('utf8')
      parts = []
      length = 0
      start = end + 1
    }
    if (start < chunk.length) {
      parts.push(chunk.subarray(start))
      length += chunk.length - start
      if (length > max) throw tooLong(max)
    }
  }
  if (length > 0) throw new ConnectionProblem('the stream ended in the middle of a line')
}

const tooLong = (max: number) => new ConnectionProblem(`the server sent a line longer than ${max} bytes`)
