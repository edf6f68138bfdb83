/** The values of the auth API that describe recordings; `src/audit/recording/types.ts` says what they mean. */

import { z } from 'zod'
import { isoTime } from './model.ts'

export const text = z.string().max(4096)
export const hash = z.string().regex(/^[0-9a-f]{64}$/)
export const milliseconds = z.number().int().nonnegative()
const side = z.number().int().min(0).max(65_535)
export const bySid = z.strictObject({ sid: z.uuid() })

export const recordingHeader = z.strictObject({
  sid: z.uuid(),
  user: text,
  login: text,
  serverId: z.uuid(),
  serverHostname: text,
  started: isoTime,
  interactive: z.boolean(),
  columns: side,
  rows: side,
  command: text.optional(),
  term: z.string().max(256).optional(),
})
export const recordingChunk = z.strictObject({
  index: z.number().int().nonnegative(),
  fromMs: milliseconds,
  toMs: milliseconds,
  textBytes: z.number().int().nonnegative(),
  keyframe: z.boolean(),
  sha256: hash,
  /** Base64 of one zstd frame. */
  data: z.string().max(1_500_000),
})
export const recordingSummary = recordingHeader.extend({
  state: z.enum(['running', 'complete', 'interrupted']),
  ended: isoTime.optional(),
  durationMs: milliseconds,
  chunks: z.number().int().nonnegative(),
  bytes: z.number().int().nonnegative(),
  chain: hash,
  participants: z.array(text),
  failure: text.optional(),
})
