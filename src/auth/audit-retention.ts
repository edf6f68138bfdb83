/** Removes what is older than the administrator wants to keep: recordings, each with an event that says so, and the oldest events. */

import { hash } from 'node:crypto'
import type { RecordingStore } from '../audit/recording/store.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { messageOf } from '../errors/system.ts'
import type { Audit } from './audit.ts'

/** Milliseconds after the start, when there is more to do, and between two rounds. */
const firstAfterMs = 60_000
const everyMs = 3_600_000

export interface RetentionOptions {
  readonly audit: Audit
  readonly recordings: RecordingStore
  /** Milliseconds; 0 keeps for ever. */
  readonly auditMs: number
  readonly recordingMs: number
  readonly env: Env
  readonly logger: Logger
}

/** Runs until the signal. */
export async function keepRetention(options: RetentionOptions, signal: AbortSignal): Promise<void> {
  const { auditMs, recordingMs, env, logger } = options
  if (auditMs === 0 && recordingMs === 0) return
  for (let wait = firstAfterMs; ; wait = everyMs) {
    await env.sleep(wait, signal).catch(() => undefined)
    if (signal.aborted) return
    try {
      await applyRetention(options)
    } catch (error) {
      if (signal.aborted) return
      logger.error('what is older than the retention setting could not be removed', { reason: messageOf(error) })
    }
  }
}

/** One round. */
export async function applyRetention(options: RetentionOptions): Promise<void> {
  const { audit, recordings, auditMs, recordingMs, env, logger } = options
  const now = env.now().getTime()
  if (recordingMs > 0) {
    const count = await removeRecordings(audit, recordings, new Date(now - recordingMs))
    if (count > 0) logger.info('recordings older than the retention setting were removed', { count })
  }
  if (auditMs > 0) {
    const cut = await audit.cut(new Date(now - auditMs))
    if (cut !== undefined) {
      logger.info('audit events older than the retention setting were removed', { count: cut.events, upTo: cut.ei })
    }
  }
}

/** The event comes first: after a crash between the two, the log already says what the next round then does. */
async function removeRecordings(audit: Audit, recordings: RecordingStore, before: Date): Promise<number> {
  const told = new Set<string>()
  const tell = async (sid: string) => {
    await audit.emit({ event: 'session.recording.removed', sid, before: before.toISOString() }, removalUid(sid))
    told.add(sid)
  }
  for await (const { sid, started, ended } of recordings.all()) {
    if (Date.parse(started) >= before.getTime()) break
    if (ended !== undefined && Date.parse(ended) < before.getTime()) await tell(sid)
  }
  const removed = await recordings.removeBefore(before)
  // One that became complete meanwhile, or was abandoned by its node.
  for (const sid of removed) if (!told.has(sid)) await tell(sid)
  return removed.length
}

/** A UUID (RFC 9562, version 8) made of the session's: told again, it is stored once. */
function removalUid(sid: string): string {
  const hex = hash('sha256', `session.recording.removed ${sid}`, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
