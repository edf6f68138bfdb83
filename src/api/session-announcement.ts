/**
 * How a node tells a client which session it has opened. Only a client that asks is told, since others need not bear requests that
 * they do not know: the environment variable is asked with, and goes no further. Described in docs/protocol.md.
 */

import { isUuid } from '../common/names.ts'
import { WireReader } from '../ssh/wire/reader.ts'
import { WireWriter } from '../ssh/wire/writer.ts'

/** Set to anything, before the shell is asked for. */
export const announceVariable = 'TELEPORT_ANNOUNCE_SESSION'
export const announcement = 'session@teleport'

export interface SessionAnnouncement {
  readonly sid: string
  /** Seconds that the session waits for its owner after a lost connection; 0: it ends with it. */
  readonly keepSeconds: number
}

export const encodeAnnouncement = ({ sid, keepSeconds }: SessionAnnouncement): Buffer =>
  new WireWriter().string(sid).uint32(keepSeconds).take()

/** Undefined for another request, or one that is malformed. */
export function readAnnouncement(name: string, extra: Buffer): SessionAnnouncement | undefined {
  if (name !== announcement) return undefined
  try {
    const reader = new WireReader(extra)
    const sid = reader.ascii(64)
    const keepSeconds = reader.uint32()
    return isUuid(sid) ? { sid, keepSeconds } : undefined
  } catch {
    return undefined
  }
}
