/** Where recordings go. */

import type { ApiClient } from '../../api/client.ts'
import { appendChunk, beginRecording, completeRecording } from '../../api/recording-routes.ts'
import type { Progress } from '../../audit/recording/store.ts'
import type { Chunk, RecordingEnd, RecordingHeader } from '../../audit/recording/types.ts'

/** As `RecordingStore`, seen from the node. Throws what auth answers; ConnectionProblem when it does not. */
export interface RecordingUpload {
  begin(header: RecordingHeader, signal: AbortSignal): Promise<Progress>
  append(sid: string, chunk: Chunk, signal: AbortSignal): Promise<Progress>
  complete(sid: string, end: RecordingEnd, signal: AbortSignal): Promise<void>
}

export function uploadToAuth(client: Pick<ApiClient, 'call'>): RecordingUpload {
  return {
    begin: (header, signal) => client.call(beginRecording, { body: { ...header } }, signal),
    append: (sid, { data, ...chunk }, signal) =>
      client.call(appendChunk, { params: { sid }, body: { ...chunk, data: data.toString('base64') } }, signal),
    complete: async (sid, end, signal) => {
      const { ended, chunks, chain, participants, interrupted, failure } = end
      const body = { ended, chunks, chain, participants: [...participants], interrupted }
      await client.call(
        completeRecording,
        { params: { sid }, body: { ...body, ...(failure === undefined ? {} : { failure: failure.slice(0, 4096) }) } },
        signal,
      )
    },
  }
}
