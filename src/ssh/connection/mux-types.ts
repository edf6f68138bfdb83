/** What the multiplexer wants from, and gives to, the code that knows what channels and requests mean. */

import type { Logger } from '../../common/log.ts'
import type { Limits, Transport } from '../transport/types.ts'
import type { WireReader } from '../wire/reader.ts'
import type { SshChannel } from './channel.ts'
import type { OpenFailure } from './types.ts'

export interface ChannelKind {
  readonly stderr: 'write' | 'read' | 'none'
  readonly holdOpen: boolean
}

export const plainChannel: ChannelKind = { stderr: 'none', holdOpen: false }

/** A channel the peer wants to open. Answer it once, now or later. */
export interface IncomingOpen {
  readonly type: string
  /** The fields after the common ones. Owned by the receiver. */
  readonly extra: WireReader
  /** Undefined when the connection is gone meanwhile. */
  accept(kind?: ChannelKind): SshChannel | undefined
  refuse(failure: OpenFailure, message: string): void
}

/** `reply` answers: false is FAILURE, a buffer is SUCCESS with that content. A no-op when no answer is wanted. */
export type GlobalRequestHandler = (name: string, extra: WireReader, reply: (answer: Buffer | false) => void) => void

export interface MuxOptions {
  readonly transport: Transport
  readonly limits: Limits
  onOpen(open: IncomingOpen): void
  readonly onGlobalRequest: GlobalRequestHandler
  readonly logger?: Logger
}
