/**
 * An exported log, a file of lines of JSON that proves itself without any server:
 *
 *   {"audit":"teleport","format":1,"time":…,"keys":[…],"filter":{…}?,"cut":{"text":…,"signature":…}?}
 *   {"ei":1,"hash":"…","event":"user.login",…}         events, each with its link of the chain
 *   {"checkpoint":"…","signature":"…"}                  after the event that it signs
 *   {"end":"…","signature":"…"}                         how many lines there are, their SHA-256, and the head of the log
 */

import { createHash, type KeyObject } from 'node:crypto'
import { BadParameter } from '../errors/errors.ts'
import {
  type AuditKey,
  type Head,
  type Link,
  linkLine,
  parseAuditPublicKey,
  parseLinkLine,
  type Signed,
  signText,
  verifyText,
} from './chain.ts'
import { ChainVerifier, type Problem, type Proof } from './verifier.ts'

/** Writes lines and keeps count of them for the last one. */
export class ExportWriter {
  readonly #key: AuditKey
  readonly #digest = createHash('sha256')
  #lines = 0

  constructor(key: AuditKey) {
    this.#key = key
  }

  head(time: string, filter: Readonly<Record<string, unknown>> | undefined, cut: Signed | undefined): string {
    const more = { ...(filter === undefined ? {} : { filter }), ...(cut === undefined ? {} : { cut: pick(cut) }) }
    return this.#line(JSON.stringify({ audit: 'teleport', format: 1, time, keys: [this.#key.public], ...more }))
  }

  event(link: Link): string {
    return this.#line(linkLine(link))
  }

  checkpoint({ text, signature }: Signed): string {
    return this.#line(JSON.stringify({ checkpoint: text, signature }))
  }

  end(time: string, head: Head): string {
    const what = { lines: this.#lines, sha256: this.#digest.digest('hex'), ei: head.ei, hash: head.hash, time }
    const { text, signature } = signText('export', JSON.stringify(what), this.#key)
    return JSON.stringify({ end: text, signature })
  }

  #line(line: string): string {
    this.#digest.update(`${line}\n`)
    this.#lines++
    return line
  }
}

const pick = ({ text, signature }: Signed): Signed => ({ text, signature })

export interface ExportVerdict {
  readonly problem: Problem | undefined
  readonly proof: Proof
  /** Only a part of the log was exported: nothing is proven about what is between. */
  readonly filtered: boolean
  /** The keys that the file names itself. Only a key that is known from elsewhere proves who signed. */
  readonly keys: readonly string[]
  readonly lines: number
}

export interface VerifyExportOptions {
  readonly key?: KeyObject
  readonly expectHead?: Head
  readonly onProgress?: (events: number) => void
}

/**
 * Reads lines (as bytes, without line feed) to the first problem. `key`: the log's public key as known from elsewhere; without it, the
 * file's own. Throws BadParameter for a file that is no export, or a key that is none.
 */
export async function verifyExport(
  lines: AsyncIterable<Buffer>,
  options: VerifyExportOptions = {},
): Promise<ExportVerdict> {
  const reader = new ExportReader(options)
  for await (const line of lines) {
    const problem = reader.line(line)
    if (problem !== undefined) return reader.verdict(problem)
  }
  return reader.verdict(reader.end())
}

class ExportReader {
  readonly #options: VerifyExportOptions
  readonly #digest = createHash('sha256')
  #verifier: ChainVerifier | undefined
  #trusted: readonly KeyObject[] = []
  #keys: readonly string[] = []
  #filtered = false
  #lines = 0
  #events = 0
  #lastEi = 0
  #head: Head | undefined

  constructor(options: VerifyExportOptions) {
    this.#options = options
  }

  line(bytes: Buffer): Problem | undefined {
    const text = bytes.toString('utf8')
    const place = `line ${this.#lines + 1}`
    if (this.#head !== undefined) return { what: 'export', message: `${place} stands after the end of the export` }
    if (!Buffer.from(text).equals(bytes)) return this.#unreadable(place)
    if (this.#verifier === undefined) return this.#begin(text)
    const link = parseLinkLine(text)
    if (link === undefined) {
      const { end, checkpoint, signature } = parseObject(text)
      if (typeof signature === 'string') {
        if (typeof end === 'string') return this.#finish({ text: end, signature })
        if (typeof checkpoint === 'string') {
          this.#count(text)
          return this.#verifier.checkpoint({ text: checkpoint, signature })
        }
      }
      return this.#unreadable(place)
    }
    this.#count(text)
    this.#events++
    if (this.#events % 10_000 === 0) this.#options.onProgress?.(this.#events)
    if (!this.#filtered) return this.#verifier.event(link)
    if (link.ei <= this.#lastEi)
      return { what: 'order', ei: link.ei, message: `event ${link.ei} stands after event ${this.#lastEi}` }
    this.#lastEi = link.ei
    return undefined
  }

  end(): Problem | undefined {
    if (this.#verifier === undefined) throw noExport()
    if (this.#head === undefined) {
      const after = this.#verifier.head.ei
      return {
        what: 'export',
        ei: after + 1,
        message: `the export is cut off after line ${this.#lines} (event ${after})`,
      }
    }
    if (this.#filtered) return undefined
    const { ei } = this.#verifier.head
    if (this.#head.ei > ei)
      return { what: 'missing', ei: ei + 1, message: `events ${ei + 1} to ${this.#head.ei} are missing` }
    return this.#verifier.end()
  }

  verdict(problem: Problem | undefined): ExportVerdict {
    const none = { events: 0, checkpoints: 0, signedTo: 0, startsAfter: 0, head: { ei: 0, hash: '' } }
    const proof = this.#verifier?.proof ?? none
    return {
      problem,
      proof: this.#filtered ? { ...proof, events: this.#events } : proof,
      filtered: this.#filtered,
      keys: this.#keys,
      lines: this.#lines,
    }
  }

  #begin(text: string): Problem | undefined {
    const { audit, format, keys, filter, cut } = parseObject(text)
    if (audit !== 'teleport' || !Array.isArray(keys)) throw noExport()
    if (format !== 1) throw new BadParameter('file', 'this export was written by a newer release; use its tctl')
    this.#keys = keys.filter((key) => typeof key === 'string').slice(0, 16)
    const { key, expectHead } = this.#options
    this.#trusted = key === undefined ? this.#keys.map(parseAuditPublicKey) : [key]
    this.#filtered = filter !== undefined
    this.#verifier = new ChainVerifier(this.#trusted, expectHead === undefined || this.#filtered ? [] : [expectHead])
    this.#count(text)
    return isSigned(cut) ? this.#verifier.begin(cut) : undefined
  }

  #finish(signed: Signed): Problem | undefined {
    const changed: Problem = {
      what: 'signature',
      message: 'the last line was changed or is not signed by this log’s key',
    }
    if (!verifyText('export', signed, this.#trusted)) return changed
    const { lines, sha256, ei, hash } = parseObject(signed.text)
    if (typeof lines !== 'number' || typeof ei !== 'number' || typeof hash !== 'string') return changed
    if (lines !== this.#lines) {
      return { what: 'missing', message: `the export had ${lines} lines before its last one; here are ${this.#lines}` }
    }
    if (sha256 !== this.#digest.digest('hex')) return { what: 'export', message: 'a line was changed after the export' }
    this.#head = { ei, hash }
    return undefined
  }

  #count(text: string): void {
    this.#digest.update(`${text}\n`)
    this.#lines++
  }

  #unreadable(place: string): Problem {
    const after = this.#filtered ? this.#lastEi : (this.#verifier?.head.ei ?? 0)
    return { what: 'changed', ei: after + 1, message: `${place}, after event ${after}, is not as it was exported` }
  }
}

const noExport = () => new BadParameter('file', 'this is not an export of an audit log made by "tctl audit export"')

function isSigned(value: unknown): value is Signed {
  if (typeof value !== 'object' || value === null) return false
  return (
    'text' in value && typeof value.text === 'string' && 'signature' in value && typeof value.signature === 'string'
  )
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
