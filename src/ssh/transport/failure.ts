/** What ended a connection: the reason and the words for the peer, and the error for our side. */

import { AccessDenied, ConnectionProblem, KindError, LimitExceeded } from '../../errors/errors.ts'
import { WireError } from '../wire/reader.ts'
import { DisconnectReason } from './messages.ts'
import { ProtocolProblem } from './problem.ts'

export interface Failure {
  /** RFC 4253 section 11.1. */
  readonly reason: number
  /** What the peer may know. */
  readonly message: string
  readonly error: Error
  /** A mistake of ours, not of the peer or the network: belongs into the log. */
  readonly internal: boolean
}

export function explainFailure(error: unknown, role: 'client' | 'server'): Failure {
  if (error instanceof WireError) {
    const message = `malformed message: ${error.message}`
    return failure(DisconnectReason.PROTOCOL_ERROR, message, new ConnectionProblem(message, { cause: error }))
  }
  if (error instanceof ProtocolProblem) return failure(error.reason, error.message, error)
  if (error instanceof LimitExceeded) return failure(DisconnectReason.BY_APPLICATION, error.message, error)
  if (error instanceof AccessDenied && role === 'client') {
    return failure(DisconnectReason.HOST_KEY_NOT_VERIFIABLE, 'the host key is not trusted', error)
  }
  if (error instanceof KindError) return failure(DisconnectReason.BY_APPLICATION, 'the connection is refused', error)
  const internal = new ConnectionProblem('internal error', { cause: error })
  return { ...failure(DisconnectReason.BY_APPLICATION, 'internal error', internal), internal: true }
}

const failure = (reason: number, message: string, error: Error): Failure => ({
  reason,
  message,
  error,
  internal: false,
})

/** Text of the peer for a message that may reach a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '').slice(0, 256)
}
