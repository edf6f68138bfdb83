/** A peer that broke the protocol: what to tell it, and what to tell our side. */

import { ConnectionProblem, type ErrorOptionsWithCause } from '../../errors/errors.ts'

export class ProtocolProblem extends ConnectionProblem {
  /** RFC 4253 section 11.1; the message goes to the peer with it, so it holds nothing the peer does not know. */
  readonly reason: number

  constructor(reason: number, message: string, options?: ErrorOptionsWithCause) {
    super(message, options)
    this.reason = reason
  }
}

/** The peer sent DISCONNECT. The message is its text, made harmless. */
export class PeerDisconnected extends ConnectionProblem {
  readonly reason: number
  /** The peer's own words, made harmless. */
  readonly text: string

  constructor(reason: number, text: string) {
    super(`the other side ended the connection: ${text || `reason ${reason}`}`)
    this.reason = reason
    this.text = text
  }
}
