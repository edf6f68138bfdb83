/** Proves the audit log and the recordings that its events vouch for. */

import { parseHead } from '../audit/chain.ts'
import type { RecordingStore } from '../audit/recording/store.ts'
import type { RecordingMark, VerifyStep } from '../audit/store.ts'
import type { Problem, Proof } from '../audit/verifier.ts'
import type { Audit } from './audit.ts'

/** A line of the answer. */
export interface VerifyLine extends Proof {
  readonly recordings: number
  readonly total: number
  readonly key: string
  readonly result?: Problem | null
}

interface Options {
  readonly audit: Audit
  readonly recordings: RecordingStore
  readonly query: { readonly expectHead?: string | undefined; readonly recordings: 'true' | 'false' }
  readonly signal: AbortSignal
}

/** Lines of progress; the last one has a result. Throws BadParameter for a malformed head. */
export async function* verifyAudit({ audit, recordings, query, signal }: Options): AsyncGenerator<VerifyLine> {
  const expected = query.expectHead === undefined ? undefined : parseHead(query.expectHead)
  const { head, cutTo } = await audit.status()
  const marks = new Map<string, RecordingMark>()
  let checked = 0
  const line = ({ proof }: VerifyStep, result?: Problem | null): VerifyLine => ({
    ...proof,
    recordings: checked,
    total: head.ei - cutTo,
    key: audit.publicKey,
    ...(result === undefined ? {} : { result }),
  })
  let last: VerifyStep | undefined
  for await (const step of audit.verify(expected)) {
    for (const mark of step.recordings) marks.set(mark.sid, mark)
    last = step
    if (step.result === undefined) yield line(step)
    signal.throwIfAborted()
  }
  if (last === undefined) return
  if (last.result !== null || query.recordings === 'false') return yield line(last, last.result ?? null)
  for await (const problem of checkRecordings(recordings, marks, signal)) {
    if (problem !== undefined) return yield line(last, problem)
    checked++
    if (checked % 20 === 0) yield line(last)
  }
  yield line(last, null)
}

/** One value for each recording: undefined when it is as it was. */
async function* checkRecordings(
  store: RecordingStore,
  marks: ReadonlyMap<string, RecordingMark>,
  signal: AbortSignal,
): AsyncGenerator<Problem | undefined> {
  const seen = new Set<string>()
  for await (const { sid, state } of store.all()) {
    signal.throwIfAborted()
    seen.add(sid)
    const mark = marks.get(sid)
    const verdict = await store.verify(sid, state === 'running' ? undefined : mark?.sha256)
    if (verdict.ok) yield undefined
    else {
      const message = `recording ${sid}, chunk ${verdict.chunk}: ${verdict.reason}`
      yield { what: 'recording', sid, message, ...(mark === undefined ? {} : { ei: mark.ei }) }
    }
  }
  for (const { sid, sha256, ei } of marks.values()) {
    if (sha256 === undefined || seen.has(sid)) continue
    // It may have come, or gone by retention, while the others were read.
    if ((await store.get(sid)) !== undefined) continue
    yield {
      what: 'recording',
      sid,
      ei,
      message: `recording ${sid} is missing: event ${ei} says that it was stored, and none says that it was removed`,
    }
  }
}
