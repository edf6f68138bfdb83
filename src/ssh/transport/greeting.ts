/** What comes before the first packet: chunks in; a preamble, the peer's version and the bytes behind it out, one at a time. */

import { VersionReader } from './version.ts'

export type GreetingStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'preamble'; readonly text: string }
  | { readonly kind: 'version'; readonly version: string; readonly rest: readonly Buffer[] }

export class Greeting {
  readonly #reader: VersionReader
  #chunks: Buffer[] = []

  /** See `VersionReader`. */
  constructor(role: 'client' | 'server', preamblePrefix: string | undefined) {
    this.#reader = new VersionReader(role, preamblePrefix)
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  /** Reads one chunk. Undefined: there is none. After a preamble nothing is read until the next call. Throws ProtocolProblem. */
  step(): GreetingStep | undefined {
    const chunk = this.#chunks.shift()
    if (chunk === undefined) return undefined
    const found = this.#reader.push(chunk)
    if (found === undefined) return { kind: 'more' }
    const { line, rest } = found
    if (line.kind === 'version') {
      const behind = [rest, ...this.#chunks]
      this.#chunks = []
      return { kind: 'version', version: line.version, rest: behind }
    }
    if (rest.length > 0) this.#chunks.unshift(rest)
    return { kind: 'preamble', text: line.text }
  }
}
