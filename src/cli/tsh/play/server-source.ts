/** A recording at the auth service, for `tsh`. */

import { createHash } from 'node:crypto'
import type { ApiClient } from '../../../api/client.ts'
import { getRecording, readRecording } from '../../../api/recording-routes.ts'
import { type ChunkReader, type PlaySummary, ServerSource } from '../../../audit/recording/play/server-source.ts'
import { readChunk } from '../../../audit/recording/read-cast.ts'

const reader: ChunkReader = {
  bytes: (base64) => Buffer.from(base64, 'base64'),
  sha256: async (data) => createHash('sha256').update(data).digest('hex'),
  entries: ({ data, fromMs }) => readChunk(data, fromMs),
}

export interface ServerRecording {
  readonly api: Pick<ApiClient, 'call' | 'stream'>
  readonly sid: string
  /** Written to the audit log by auth. */
  readonly action: 'play' | 'export' | 'text'
  /** Goes on with what a running session still records. */
  readonly follow?: boolean
}

/** Throws NotFound, also for a recording that the caller may not see. */
export async function openServerSource(recording: ServerRecording): Promise<ServerSource> {
  return serverSource(recording, await recording.api.call(getRecording, { params: { sid: recording.sid } }))
}

export function serverSource(
  { api, sid, action, follow = false }: ServerRecording,
  summary: PlaySummary,
): ServerSource {
  return new ServerSource(
    {
      reader,
      follow,
      fetch(at, signal) {
        const query = { at, action, follow: follow ? 'true' : 'false' } as const
        return api.stream(readRecording, { params: { sid }, query }, signal)
      },
    },
    summary,
  )
}
