/** The extension copy-data: from one open file into another without the bytes crossing the network. */

import { fstatSync, readSync, writeSync } from 'node:fs'
import { statusCode } from '../../ssh/sftp/constants.ts'
import type { ExtendedRequest } from '../../ssh/sftp/types.ts'
import { StatusError } from './file-status.ts'
import type { Handles } from './handles.ts'

type CopyData = Extract<ExtendedRequest, { type: 'copy-data' }>

const step = 1024 * 1024
const maxOffset = BigInt(Number.MAX_SAFE_INTEGER)

/** Throws StatusError, also for a source that ends early, and errors of the system. */
export function copyData({ from, fromOffset, length, to, toOffset }: CopyData, handles: Handles): void {
  const source = handles.file(from)
  const target = handles.file(to)
  const [a, b] = [fstatSync(source.fd), fstatSync(target.fd)]
  if (from.equals(to) || (a.dev === b.dev && a.ino === b.ino)) {
    throw new StatusError(statusCode.failure, 'Failure: a file cannot be copied into itself')
  }
  if (fromOffset + length > maxOffset || toOffset + length > maxOffset) {
    throw new StatusError(statusCode.failure, 'Failure: file too large')
  }
  const buffer = Buffer.allocUnsafeSlow(step)
  let left = length === 0n ? Number.POSITIVE_INFINITY : Number(length)
  let readAt = Number(fromOffset)
  let writeAt = Number(toOffset)
  while (left > 0) {
    const got = readSync(source.fd, buffer, 0, Math.min(step, left), readAt)
    if (got === 0) {
      if (length !== 0n) throw new StatusError(statusCode.eof)
      return
    }
    for (let at = 0; at < got; ) {
      const written = writeSync(target.fd, buffer, at, got - at, target.append ? null : writeAt)
      at += written
      writeAt += written
    }
    readAt += got
    left -= got
  }
}
