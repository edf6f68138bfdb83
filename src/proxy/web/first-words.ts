/** What a node says when it refuses a session. */

import type { Readable } from 'node:stream'

const maxWords = 4096

/** Reads standard error, which has the node's own refusals. Returns what it began with. */
export function firstWords(stderr: Readable): () => string | undefined {
  let text = ''
  stderr.on('data', (piece: Buffer) => {
    if (text.length < maxWords) text += piece.toString('utf8')
  })
  return () => text.slice(0, maxWords).match(/^ERROR: ([^\r\n]*)/)?.[1]
}
