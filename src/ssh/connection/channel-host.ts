/** The seam between a channel and the connection it lives on. */

import type { SshChannel } from './channel.ts'

/** What a channel needs from the connection it lives on. */
export interface ChannelHost {
  /** True while the transport's outgoing queue is full. */
  readonly blocked: boolean
  /** Window that is granted to the peer at the start, bytes. */
  readonly windowSize: number
  readonly maxOutstandingReplies: number
  /** Sends DATA (code 0) or EXTENDED_DATA. The parts are copied before it returns. */
  sendData(remoteId: number, code: number, parts: readonly Buffer[], size: number): void
  sendAdjust(remoteId: number, bytes: number): void
  sendEof(remoteId: number): void
  sendClose(channel: SshChannel): void
  sendRequest(remoteId: number, name: string, wantReply: boolean, extra: Buffer): void
  /** CHANNEL_SUCCESS or CHANNEL_FAILURE. */
  sendAnswer(remoteId: number, success: boolean): void
  /** Calls `resumeSending` once the transport takes data again. */
  waitWritable(channel: SshChannel): void
  /** Both sides sent CLOSE: the number may be used again. */
  release(channel: SshChannel): void
  /** Ends the connection because the peer broke the protocol. */
  protocolError(message: string): void
}

export interface ChannelParameters {
  readonly type: string
  readonly localId: number
  readonly remoteId: number
  readonly sendWindow: number
  readonly maxSend: number
  /** What extended data is: a stream to write (server), to read (client), or nothing. */
  readonly stderr: 'write' | 'read' | 'none'
  /** Do not close by itself when both directions have ended: an exit status may follow. */
  readonly holdOpen: boolean
}
