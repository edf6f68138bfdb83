/**
 * Writes asciicast v2: one line of JSON for the header, one for each event. Bytes become text here, and stay what they are
 * otherwise. Format: https://docs.asciinema.org/manual/asciicast/v2/
 */

import { StringDecoder } from 'node:string_decoder'
import type { RecordingHeader } from './types.ts'

/** Output, resize (`COLSxROWS`), mark, keyframe. */
export type CastCode = 'o' | 'r' | 'm' | 'k'

/** A client without a terminal of its own reports 0x0; programs then believe what follows. */
export const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24

/** The first line, with its end. */
export function castHeader(header: RecordingHeader): string {
  const { columns, rows, started, command, term, sid, user, login, serverHostname } = header
  const line = {
    version: 2,
    width: columns > 0 ? columns : DEFAULT_COLUMNS,
    height: rows > 0 ? rows : DEFAULT_ROWS,
    timestamp: Math.floor(Date.parse(started) / 1000),
    ...(command === undefined ? {} : { command }),
    title: `${login}@${serverHostname}, ${user}, ${sid}`,
    env: { TERM: term ?? 'dumb' },
  }
  return `${JSON.stringify(line)}\n`
}

/** A line, with its end. `atMs`: milliseconds since the start. */
export const castLine = (atMs: number, code: CastCode, data: string): string =>
  `[${(Math.max(0, Math.round(atMs)) / 1000).toFixed(3)}, "${code}", ${JSON.stringify(data)}]\n`

/**
 * Bytes that arrive in pieces as text: characters that were cut between two pieces are joined, bytes that are no UTF-8 become
 * U+FFFD, so that the result is text whatever the program prints.
 */
export class OutputText {
  readonly #decoder = new StringDecoder('utf8')

  /** What is complete so far. */
  push(data: Uint8Array): string {
    return this.#decoder.write(data)
  }

  /** What was left of a character that never was completed. */
  end(): string {
    return this.#decoder.end()
  }
}
