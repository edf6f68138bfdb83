/** One file that a client has open, as the inspector sees it. */

import { maxTransfer, openFlag } from './constants.ts'
import type { FileEvent } from './inspector-types.ts'
import { Transfer } from './transfer.ts'

export interface OpenFacts {
  readonly path: string
  /** `openFlag` */
  readonly flags: number
  readonly mode: number | undefined
  readonly number: number
}

export class InspectedFile {
  readonly kind = 'file'
  readonly path: string
  readonly reads = new Transfer()
  readonly writes = new Transfer()
  /** CLOSE was sent: who speaks of this handle from now on may mean another file. */
  closing = false
  readonly #facts: OpenFacts
  #error: string | undefined
  /** As far as the client was told. */
  #knownSize: bigint | undefined
  /** Smallest offset at which the file was said to end, and the end of a piece that was shorter than asked for. */
  #eofAt: bigint | undefined
  #shortAt: bigint | undefined
  /** Nothing was in the file before the first write, or behind `#sizeSet`. */
  #fresh: boolean
  #sizeSet = 0n

  constructor(facts: OpenFacts) {
    this.#facts = facts
    this.path = facts.path
    const { flags } = facts
    const has = (flag: number): boolean => (flags & flag) !== 0
    this.#fresh = has(openFlag.truncate) || (has(openFlag.create) && has(openFlag.exclusive))
    // The kernel chooses where appended bytes go, whatever the offset says.
    if (has(openFlag.append) && !this.#fresh) this.writes.spoil()
    this.writes.used = false
  }

  failed(error: string): void {
    this.#error ??= error
  }

  sizeKnown(size: bigint): void {
    this.#knownSize = size
  }

  readShort(end: bigint, asked: number): void {
    if (asked <= maxTransfer) this.#shortAt = end
  }

  readEof(offset: bigint): void {
    this.reads.used = true
    if (this.#eofAt === undefined || offset < this.#eofAt) this.#eofAt = offset
  }

  /** The client set the size of the file. */
  sizeSet(size: bigint): void {
    const end = this.writes.end
    if (end !== undefined && size < end) this.writes.spoil()
    else this.#fresh = true
    this.#sizeSet = size
  }

  /** One event for each direction in which it was used; at least one. `error`: when it was not closed as it should. */
  events(error?: string): readonly FileEvent[] {
    const { path, mode, flags, number } = this.#facts
    const problem = this.#error ?? error
    const common = {
      path,
      file: number,
      ...(problem === undefined ? {} : { error: problem }),
      ...(mode === undefined ? {} : { mode }),
    }
    const mayWrite = (flags & openFlag.write) !== 0
    const told: FileEvent[] = []
    if (this.writes.used || (mayWrite && !this.reads.used)) {
      told.push({ kind: 'write', ...common, size: this.writes.bytes, ...this.#digest('writes', problem) })
    }
    if (this.reads.used || !mayWrite) {
      told.push({ kind: 'read', ...common, size: this.reads.bytes, ...this.#digest('reads', problem) })
    }
    return told
  }

  #digest(which: 'reads' | 'writes', problem: string | undefined): { readonly sha256?: string } {
    const whole = problem === undefined && (which === 'reads' ? this.#readWhole() : this.#wroteWhole())
    const sha256 = whole ? this[which].digest() : undefined
    return sha256 === undefined ? {} : { sha256 }
  }

  #readWhole(): boolean {
    const { end } = this.reads
    if (end === undefined) return false
    if (this.#eofAt !== undefined && (this.#eofAt <= end || this.#shortAt === end)) return true
    return this.#knownSize !== undefined && this.#knownSize <= end
  }

  #wroteWhole(): boolean {
    const { end } = this.writes
    return end !== undefined && this.#fresh && end >= this.#sizeSet
  }
}
