/** Two connection multiplexers over an in-memory transport, and patience without clocks. For tests. */

import type { SshChannel } from '../connection/channel.ts'
import { ConnectionMux } from '../connection/mux.ts'
import { type ChannelKind, type IncomingOpen, plainChannel } from '../connection/mux-types.ts'
import { resolveLimits } from '../transport/limits.ts'
import type { Limits } from '../transport/types.ts'
import { type PipeTransport, type PipeTransportOptions, transportPair } from './pipe-transport.ts'

export interface MuxPairOptions extends PipeTransportOptions {
  readonly limits?: Partial<Limits>
  readonly kind?: ChannelKind
  readonly onOpen?: (open: IncomingOpen) => void
}

export interface MuxPair {
  readonly client: ConnectionMux
  readonly server: ConnectionMux
  readonly transports: { readonly client: PipeTransport; readonly server: PipeTransport }
  /** Channels the server end accepted, oldest first. */
  readonly accepted: SshChannel[]
}

export function muxPair(options: MuxPairOptions = {}): MuxPair {
  const transports = transportPair(options)
  const accepted: SshChannel[] = []
  const limits = resolveLimits(options.limits)
  const accept = (open: IncomingOpen): void => {
    const channel = open.accept(options.kind ?? plainChannel)
    if (channel !== undefined) accepted.push(channel)
  }
  const refuseRequest = (_name: string, _extra: unknown, reply: (answer: false) => void): void => reply(false)
  const client = new ConnectionMux({
    transport: transports.client,
    limits,
    onOpen: (open) => open.refuse('prohibited', 'not here'),
    onGlobalRequest: refuseRequest,
  })
  const server = new ConnectionMux({
    transport: transports.server,
    limits,
    onOpen: options.onOpen ?? accept,
    onGlobalRequest: refuseRequest,
  })
  client.start()
  server.start()
  return { client, server, transports, accepted }
}

/** Resolves when the condition holds; the test's own time limit is the only clock. */
export async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
