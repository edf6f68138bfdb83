/** The version exchange (RFC 4253 section 4.2): lines before the encrypted protocol, bounded in size and number. */

import { BadParameter } from '../../errors/errors.ts'
import { DisconnectReason } from './messages.ts'
import { ProtocolProblem } from './problem.ts'

/** RFC 4253 section 4.2: CR and LF included. */
const MAX_VERSION_LINE = 255
/** Longest preamble line, bytes. */
const MAX_PREAMBLE = 8 * 1024
/** A server may greet with other lines first. OpenSSH's client reads up to 1,024 lines of 8 KiB; nobody needs that. */
const MAX_GREETING_LINES = 50
const MAX_GREETING_BYTES = 16 * 1024

/** `SSH-2.0-ident`. Throws BadParameter for an ident that would break the line. */
export function versionString(ident: string): string {
  if (!/^[\x21-\x2c\x2e-\x7e]{1,200}$/.test(ident)) {
    throw new BadParameter(
      'ident',
      'the SSH ident must be 1 to 200 visible US-ASCII characters without spaces and minus signs',
    )
  }
  return `SSH-2.0-${ident}`
}

export type VersionLine =
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'preamble'; readonly text: string }

/** Collects lines from chunks. Bytes after the version line are left to the caller. */
export class VersionReader {
  readonly #role: 'client' | 'server'
  readonly #preamblePrefix: string | undefined
  #line = Buffer.alloc(0)
  #lines = 0
  #bytes = 0
  #preambleSeen = false

  /** `role` is ours: only a server may send lines before its version, only a client a preamble. */
  constructor(role: 'client' | 'server', preamblePrefix?: string) {
    this.#role = role
    this.#preamblePrefix = preamblePrefix === undefined ? undefined : `${preamblePrefix} `
  }

  /** Takes a chunk; gives the first complete line that matters and the bytes after it. Throws ProtocolProblem. */
  push(chunk: Buffer): { line: VersionLine; rest: Buffer } | undefined {
    let rest = chunk
    while (rest.length > 0) {
      const end = rest.indexOf(10)
      const taken = end === -1 ? rest : rest.subarray(0, end + 1)
      const line = Buffer.concat([this.#line, taken])
      rest = rest.subarray(taken.length)
      this.#bytes += taken.length
      this.#check(line)
      if (end === -1) {
        this.#line = line
        return undefined
      }
      this.#line = Buffer.alloc(0)
      const found = this.#complete(line)
      if (found !== undefined) return { line: found, rest }
    }
    return undefined
  }

  #check(line: Buffer): void {
    if (this.#role === 'client') {
      if (this.#bytes > MAX_GREETING_BYTES) refuse('the server sent too much before its SSH version')
      return
    }
    if (this.#isPreamble(line)) {
      if (line.length > MAX_PREAMBLE) refuse('the preamble line is too long')
      return
    }
    // Answer rubbish (a web browser, a port scanner) at once instead of waiting for the end of a line that may never come.
    const start = line.subarray(0, 4).toString('latin1')
    if (!'SSH-'.startsWith(start) && !(this.#preamblePrefix?.startsWith(start) ?? false)) {
      refuse('the peer does not speak SSH')
    }
    if (line.length > MAX_VERSION_LINE) refuse('the SSH version line is too long')
  }

  #isPreamble(line: Buffer): boolean {
    const prefix = this.#preamblePrefix
    if (prefix === undefined || this.#preambleSeen) return false
    return line.length >= prefix.length && line.subarray(0, prefix.length).toString('latin1') === prefix
  }

  #complete(raw: Buffer): VersionLine | undefined {
    const line = raw.toString('latin1').replace(/\r?\n$/, '')
    if (line.startsWith('SSH-')) return { kind: 'version', version: checkVersion(line, raw.length) }
    if (this.#isPreamble(raw)) {
      this.#preambleSeen = true
      return { kind: 'preamble', text: line.slice(this.#preamblePrefix?.length) }
    }
    if (this.#role === 'server') refuse('the peer does not speak SSH')
    this.#lines++
    if (this.#lines > MAX_GREETING_LINES) refuse('the server sent too many lines before its SSH version')
    return undefined
  }
}

function checkVersion(line: string, rawLength: number): string {
  if (rawLength > MAX_VERSION_LINE) refuse('the SSH version line is too long')
  // 1.99 is how servers that also know protocol 1 announce protocol 2 (RFC 4253 section 5.1).
  if (!/^SSH-(?:2\.0|1\.99)-[\x20-\x7e]*$/.test(line)) {
    refuse('the peer speaks another version of SSH, or its version line is malformed')
  }
  return line
}

function refuse(message: string): never {
  throw new ProtocolProblem(DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED, message)
}
