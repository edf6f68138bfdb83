/** The part of the auth API for recordings: nodes bring chunks, people list and watch. */

import { z } from 'zod'
import { endpoint } from './define.ts'
import { isoTime } from './model.ts'
import { page, pageOf } from './pages.ts'
import {
  bySid,
  hash,
  milliseconds,
  recordingChunk,
  recordingHeader,
  recordingSummary,
  text,
} from './recording-model.ts'

const progress = z.strictObject({ next: z.number().int().nonnegative(), chain: hash })

export const beginRecording = endpoint({
  method: 'POST',
  path: '/v1/recordings',
  summary: 'Begins a recording, or tells where to go on; the server is the caller, whatever the header says',
  callers: ['Node'],
  body: recordingHeader,
  output: progress,
})
export const appendChunk = endpoint({
  method: 'POST',
  path: '/v1/recordings/:sid/chunks',
  summary: 'The next chunk; on disk before the answer, once for each index',
  callers: ['Node'],
  params: bySid,
  body: recordingChunk,
  output: progress,
  maxBody: 2 * 1024 * 1024,
})
export const completeRecording = endpoint({
  method: 'POST',
  path: '/v1/recordings/:sid/complete',
  summary: 'No more chunks will come; recorded in the audit log with the last link of the chain',
  callers: ['Node'],
  params: bySid,
  body: z.strictObject({
    ended: isoTime,
    chunks: z.number().int().nonnegative(),
    chain: hash,
    participants: z.array(text).max(1000),
    interrupted: z.boolean(),
    failure: text.optional(),
  }),
  output: recordingSummary,
})
export const listRecordings = endpoint({
  method: 'GET',
  path: '/v1/recordings',
  summary: 'Recordings, newest first; users without a rule for sessions see those they took part in',
  callers: ['Admin', 'User'],
  userRule: 'self',
  query: z.strictObject({
    from: isoTime.optional(),
    to: isoTime.optional(),
    user: z.string().max(256).optional(),
    node: z.string().max(256).optional(),
    search: z.string().max(256).optional(),
    ...page,
  }),
  output: pageOf(
    recordingSummary.extend({
      /** Where the words were found, the first few. */
      matches: z.array(z.strictObject({ atMs: milliseconds, text: z.string() })).optional(),
    }),
  ),
})
export const getRecording = endpoint({
  method: 'GET',
  path: '/v1/recordings/:sid',
  summary: 'One recording without its content',
  callers: ['Admin', 'User'],
  userRule: 'self',
  params: bySid,
  output: recordingSummary,
})
export const readRecording = endpoint({
  method: 'GET',
  path: '/v1/recordings/:sid/chunks',
  summary: 'The content from the last keyframe before a time on; who asks is recorded in the audit log first',
  callers: ['Admin', 'User'],
  userRule: 'self',
  params: bySid,
  query: z.strictObject({
    /** Milliseconds since the start. */
    at: z.coerce.number().int().nonnegative().default(0),
    /** `thumbnail`: what is needed for the screen of that time, and nothing after it. */
    action: z.enum(['play', 'export', 'text', 'thumbnail']),
    /** Goes on with what a running session still records. */
    follow: z.enum(['true', 'false']).default('false'),
  }),
  output: recordingChunk,
  stream: true,
})
