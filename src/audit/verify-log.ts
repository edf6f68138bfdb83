/** Proves the live log: reads everything from the disk, in windows, with a turn of the event loop after each. */

import type { KeyObject } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { hasErrno } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { parseFields } from './bound.ts'
import type { Head } from './chain.ts'
import type { AuditFile, StoredCheckpoint } from './file.ts'
import { uidBytes } from './file.ts'
import type { RecordingMark, VerifyStep } from './store.ts'
import { ChainVerifier, type Problem } from './verifier.ts'

const WINDOW = 1000
/** Windows in one step: what is told as progress. */
const STEP = 5

export async function* verifyLog(
  log: AuditFile,
  keys: readonly KeyObject[],
  expected: readonly Head[],
): AsyncGenerator<VerifyStep> {
  const known = log.head
  const verifier = new ChainVerifier(keys, expected)
  const run = new LogReader(log, verifier)
  let recordings: RecordingMark[] = []
  let problem = guarded(verifier, () => run.begin())
  for (let window = 1; problem === undefined && !run.done; window++) {
    problem = guarded(verifier, () => run.window(known.ei, recordings))
    if (window % STEP === 0) {
      yield { proof: verifier.proof, recordings }
      recordings = []
    }
    await nextTurn()
  }
  problem ??= guarded(verifier, () => run.end(known))
  yield { proof: verifier.proof, recordings, result: problem ?? null }
}

/** A file that SQLite itself cannot read any more is a finding, not a failure to look. */
function guarded(verifier: ChainVerifier, read: () => Problem | undefined): Problem | undefined {
  try {
    return read()
  } catch (error) {
    if (!hasErrno(error, 'ECORRUPT')) throw error
    const { ei } = verifier.head
    return { what: 'changed', ei: ei + 1, message: `what follows event ${ei} cannot be read: ${messageOf(error)}` }
  }
}

class LogReader {
  readonly #log: AuditFile
  readonly #verifier: ChainVerifier
  #waiting: StoredCheckpoint[] = []
  /** Number of the last checkpoint that was read. */
  #n = 0
  #next = 1
  done = false

  constructor(log: AuditFile, verifier: ChainVerifier) {
    this.#log = log
    this.#verifier = verifier
  }

  begin(): Problem | undefined {
    // What was changed behind our back on the disk is hidden by what we remember.
    this.#log.forget()
    const cut = this.#log.lastCut()
    if (cut === undefined) return undefined
    const problem = this.#verifier.begin(cut)
    if (problem !== undefined) return problem
    // What the cut covers may not be removed yet.
    this.#next = this.#verifier.head.ei + 1
    this.#n = this.#verifier.firstCheckpoint - 1
    return undefined
  }

  /** Up to `last`: what is appended while we read is for the next time. */
  window(last: number, recordings: RecordingMark[]): Problem | undefined {
    const rows = this.#log.exactRows(this.#next, WINDOW).filter((row) => row.ei <= last)
    for (const row of rows) {
      const problem = this.#checkpoints(row.ei) ?? this.#row(row, recordings)
      if (problem !== undefined) return problem
    }
    this.#next = (rows.at(-1)?.ei ?? last) + 1
    this.done = rows.length < WINDOW
    return undefined
  }

  end(known: Head): Problem | undefined {
    const problem = this.#checkpoints(Number.MAX_SAFE_INTEGER, known.ei) ?? this.#verifier.end()
    if (problem !== undefined) return problem
    const { ei, hash } = this.#verifier.head
    if (ei < known.ei) {
      const range = ei + 1 === known.ei ? `event ${known.ei} is` : `events ${ei + 1} to ${known.ei} are`
      return { what: 'missing', ei: ei + 1, message: `${range} missing at the end` }
    }
    if (hash === known.hash) return undefined
    return { what: 'changed', ei, message: `event ${ei} was changed while the auth service runs` }
  }

  /** Those that sign what stands before event `ei`. */
  #checkpoints(before: number, atMost = Number.MAX_SAFE_INTEGER): Problem | undefined {
    for (;;) {
      if (this.#waiting.length === 0) this.#waiting = this.#log.checkpoints(this.#n, WINDOW)
      const [next] = this.#waiting
      if (next === undefined || next.ei >= before || next.ei > atMost) return undefined
      this.#waiting.shift()
      this.#n = next.n
      const problem = this.#verifier.checkpoint(next)
      if (problem !== undefined) return problem
      // The columns beside the text are what it is found by.
      const { n, ei } = JSON.parse(next.text) as { n: number; ei: number }
      if (n !== next.n || ei !== next.ei) {
        return { what: 'changed', checkpoint: n, message: `checkpoint ${n} is stored under another number` }
      }
    }
  }

  #row(row: ReturnType<AuditFile['exactRows']>[number], recordings: RecordingMark[]): Problem | undefined {
    const { ei, body, timeMs, uid } = row
    const problem = this.#verifier.event(row)
    if (problem !== undefined) return problem
    const fields = parseFields(body)
    const same = row.exact && Date.parse(String(fields.time)) === timeMs && uidBytes(String(fields.uid)).equals(uid)
    if (!same) return { what: 'changed', ei, message: `event ${ei} is stored under another time or id than its own` }
    const { event, sid, sha256 } = fields
    if (typeof sid !== 'string') return undefined
    if (event === 'session.upload' && typeof sha256 === 'string') recordings.push({ ei, sid, sha256 })
    if (event === 'session.recording.removed') recordings.push({ ei, sid })
    return undefined
  }
}
