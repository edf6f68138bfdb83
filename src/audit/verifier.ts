/**
 * Proves a log: fed with events and checkpoints in order, it names the first thing that is not as it was. No I/O, so that the live
 * store and an exported copy are judged by the same code.
 */

import type { KeyObject } from 'node:crypto'
import {
  type Checkpoint,
  firstHash,
  formatHead,
  type Head,
  type Link,
  nextHash,
  parseCheckpoint,
  type Signed,
  textHash,
  verifyText,
} from './chain.ts'

export interface Problem {
  readonly what: 'changed' | 'missing' | 'order' | 'signature' | 'head' | 'recording' | 'export'
  /** The first bad event, where it is one. */
  readonly ei?: number
  readonly checkpoint?: number
  /** Of a recording. */
  readonly sid?: string
  readonly message: string
}

export interface Proof {
  readonly events: number
  readonly checkpoints: number
  /** Up to this event everything is covered by a signature. */
  readonly signedTo: number
  /** Where the log begins: 0, or the last event that retention removed. */
  readonly startsAfter: number
  readonly head: Head
}

export class ChainVerifier {
  readonly #keys: readonly KeyObject[]
  readonly #expected: readonly Head[]
  #start: Head = { ei: 0, hash: firstHash }
  #head: Head = this.#start
  #firstCheckpoint = 1
  #events = 0
  #checkpoints = 0
  #signedTo = 0
  #last: { readonly n: number; readonly text: string } | undefined
  /** A gap that only a log from before the chain may have. */
  #gap: number | undefined

  /** `expected`: heads that are known from elsewhere; the log must contain them, unless they were cut off. */
  constructor(keys: readonly KeyObject[], expected: readonly Head[] = []) {
    this.#keys = keys
    this.#expected = [...expected].sort((a, b) => a.ei - b.ei)
  }

  get head(): Head {
    return this.#head
  }

  /** The number that the first checkpoint must have. */
  get firstCheckpoint(): number {
    return this.#firstCheckpoint
  }

  get proof(): Proof {
    const { ei } = this.#start
    return {
      events: this.#events,
      checkpoints: this.#checkpoints,
      signedTo: this.#signedTo,
      startsAfter: ei,
      head: this.#head,
    }
  }

  /** The signed statement that the log begins later. Before anything else. */
  begin(signed: Signed): Problem | undefined {
    const checkpoint = parseCheckpoint(signed.text)
    if (checkpoint === undefined || !verifyText('checkpoint', signed, this.#keys)) return badSignature(checkpoint?.n)
    if (checkpoint.cut === undefined) {
      return {
        what: 'signature',
        checkpoint: checkpoint.n,
        message: `checkpoint ${checkpoint.n} does not tell of a cut`,
      }
    }
    this.#start = { ei: checkpoint.cut.ei, hash: checkpoint.cut.hash }
    this.#head = this.#start
    this.#signedTo = checkpoint.cut.ei
    this.#firstCheckpoint = checkpoint.cut.first
    return undefined
  }

  event({ ei, hash, body }: Link): Problem | undefined {
    const before = this.#head.ei
    if (ei <= before) return { what: 'order', ei, message: `event ${ei} stands after event ${before}` }
    if (nextHash(this.#head.hash, ei, body) !== hash) {
      return ei > before + 1
        ? missing(before + 1, ei - 1)
        : { what: 'changed', ei, message: `event ${ei} is not as it was stored, or the one before it was replaced` }
    }
    if (ei > before + 1) this.#gap ??= before + 1
    this.#head = { ei, hash }
    this.#events++
    return this.#checkExpected()
  }

  /** After the event that it names. */
  checkpoint(signed: Signed): Problem | undefined {
    const checkpoint = parseCheckpoint(signed.text)
    const wanted = this.#last === undefined ? this.#firstCheckpoint : this.#last.n + 1
    if (checkpoint === undefined) return badSignature(wanted)
    const { n, ei, hash, previous } = checkpoint
    if (!verifyText('checkpoint', signed, this.#keys)) return badSignature(wanted)
    if (n !== wanted) {
      return { what: 'missing', checkpoint: wanted, message: `checkpoint ${wanted} is missing; the next one is ${n}` }
    }
    if (this.#last !== undefined && previous !== textHash(this.#last.text)) {
      const before = this.#last.n
      return {
        what: 'changed',
        checkpoint: before,
        message: `checkpoint ${before} is not the one before checkpoint ${n}`,
      }
    }
    if (n === 1 && previous !== '') return badSignature(n)
    if (ei > this.#head.ei) return missing(this.#head.ei + 1, ei)
    if (ei < this.#head.ei) return { what: 'order', checkpoint: n, message: `checkpoint ${n} stands too late` }
    if (hash !== this.#head.hash) {
      const from = this.#signedTo + 1
      const range = from === ei ? `event ${ei} was` : `events ${from} to ${ei} were`
      return { what: 'changed', ei: from, checkpoint: n, message: `${range} changed after checkpoint ${n} was signed` }
    }
    const gap = this.#adopt(checkpoint)
    if (gap !== undefined) return gap
    this.#last = { n, text: signed.text }
    this.#signedTo = ei
    this.#checkpoints++
    return undefined
  }

  /** Everything was fed. */
  end(): Problem | undefined {
    if (this.#gap !== undefined) return missing(this.#gap, this.#gap)
    const beyond = this.#expected.find((expected) => expected.ei > this.#head.ei)
    if (beyond === undefined) return undefined
    const known = `the log ends at event ${this.#head.ei}, but reached ${formatHead(beyond)} before`
    return {
      what: 'missing',
      ei: this.#head.ei + 1,
      message: `${known}: events ${this.#head.ei + 1} to ${beyond.ei} are missing`,
    }
  }

  /** Gaps are as old as the log itself when it was tied together after them. */
  #adopt({ adopted }: Checkpoint): Problem | undefined {
    const gap = this.#gap
    if (gap === undefined) return undefined
    if (adopted !== true) return missing(gap, gap)
    this.#gap = undefined
    return undefined
  }

  #checkExpected(): Problem | undefined {
    const { ei, hash } = this.#head
    const wrong = this.#expected.find((expected) => expected.ei === ei && expected.hash !== hash)
    if (wrong === undefined) return undefined
    return { what: 'head', ei, message: `event ${ei} has the hash ${hash}, but it was known with ${wrong.hash}` }
  }
}

function missing(from: number, to: number): Problem {
  const message = from === to ? `event ${from} is missing` : `events ${from} to ${to} are missing`
  return { what: 'missing', ei: from, message }
}

function badSignature(n: number | undefined): Problem {
  const name = n === undefined ? 'a checkpoint' : `checkpoint ${n}`
  return {
    what: 'signature',
    ...(n === undefined ? {} : { checkpoint: n }),
    message: `${name} was changed or is not signed by this log's key`,
  }
}
