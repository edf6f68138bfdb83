/** What a recorder is opened with, and how much it may take. */

import type { RecordingHeader } from '../../audit/recording/types.ts'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import type { TapLimits } from './tap.ts'
import type { RecordingUpload } from './upload.ts'
import type { StartWorker } from './worker-thread.ts'

export interface RecorderLimits extends TapLimits {
  /** Bytes of all sessions that wait for the worker and the disk. */
  readonly totalBytes: number
  /** Bytes of the spool; beyond, strict sessions end or do not start, and others have a gap. */
  readonly spoolBytes: number
  readonly quarantineBytes: number
  /** Recordings that are sent at a time. */
  readonly parallel: number
  /** For a recording that auth refuses. */
  readonly attempts: number
  /** Between attempts. */
  readonly backoff: { readonly initialMs: number; readonly maxMs: number }
}

export const recorderLimits: RecorderLimits = {
  sessionBytes: 8 * 1024 * 1024,
  totalBytes: 64 * 1024 * 1024,
  spoolBytes: 2 * 1024 ** 3,
  quarantineBytes: 1024 ** 3,
  parallel: 4,
  attempts: 6,
  backoff: { initialMs: 500, maxMs: 30_000 },
  stallMs: 30_000,
  syncMs: 10_000,
}

export interface RecorderOptions {
  /** `data_dir/node/recordings`; made private when missing. */
  readonly dir: string
  readonly upload: RecordingUpload
  readonly env: Env
  readonly logger: Logger
  /** Once for each recording that was given up or has a gap; for `session.recording.failed`. */
  onFailed(header: RecordingHeader, reason: string): void
  readonly limits?: Partial<RecorderLimits>
  /** As `ownProcess` names it. Default: this process. */
  readonly owner?: string
  /** Default: a thread. */
  readonly startWorker?: StartWorker
}
