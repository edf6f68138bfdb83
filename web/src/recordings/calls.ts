/** Recordings from the auth service. Watching, exporting and each picture of a screen are in the audit log before anything comes. */

import type { CallInput, CallOutput, routes } from '../../../src/api/web-calls.ts'
import type { CachedChunk } from '../../../src/audit/recording/play/chunk-cache.ts'
import { ServerSource } from '../../../src/audit/recording/play/server-source.ts'
import { auth, authLines } from '../api.ts'
import { chunkReader } from './decode.ts'

export type RecordingPage = CallOutput<typeof routes.listRecordings>
export type Listed = RecordingPage['items'][number]
export type Summary = CallOutput<typeof routes.getRecording>
type Use = NonNullable<CallInput<typeof routes.readRecording>['query']>['action']

/** Recordings of one page. */
const pageSize = 50

export interface Filters {
  readonly search?: string
  readonly user?: string
  readonly node?: string
  /** Days, as `2026-11-28`. */
  readonly from?: string
  readonly to?: string
}

export function listRecordings(
  filters: Filters,
  after: string | undefined,
  signal: AbortSignal,
): Promise<RecordingPage> {
  const { from, to, ...words } = filters
  const query = {
    ...words,
    ...(from === undefined ? {} : { from: dayStart(from, 0) }),
    // The last day is meant with its evening.
    ...(to === undefined ? {} : { to: dayStart(to, 1) }),
    ...(after === undefined ? {} : { after }),
    limit: pageSize,
  }
  return auth<typeof routes.listRecordings>('GET /v1/recordings', { query }, { signal })
}

/** The midnight with which a day begins here, or so many days later. */
function dayStart(day: string, later: number): string {
  const date = new Date(`${day}T00:00:00`)
  date.setDate(date.getDate() + later)
  return date.toISOString()
}

export const getRecording = (sid: string, signal: AbortSignal): Promise<Summary> =>
  auth<typeof routes.getRecording>('GET /v1/recordings/:sid', { params: { sid } }, { signal })

export const openRecording = (
  summary: Summary,
  action: Use,
  options: { readonly follow?: boolean; onChunk?(chunk: CachedChunk): void } = {},
): ServerSource =>
  new ServerSource(
    {
      reader: chunkReader,
      ...options,
      fetch(at, signal) {
        const query = { at, action, follow: options.follow === true ? 'true' : 'false' } as const
        const params = { sid: summary.sid }
        return authLines<typeof routes.readRecording>('GET /v1/recordings/:sid/chunks', { params, query }, signal)
      },
    },
    summary,
  )
