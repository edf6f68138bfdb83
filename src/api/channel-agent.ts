/** HTTP over anything that gives streams: an agent whose sockets are SSH channels. */

import http from 'node:http'
import type { Duplex } from 'node:stream'

export interface ChannelAgentOptions {
  openStream(): Promise<Duplex>
  /** Streams in use at a time; further calls wait. Default 16. */
  readonly maxStreams?: number
}

export class ChannelAgent extends http.Agent {
  readonly #openStream: () => Promise<Duplex>

  constructor(options: ChannelAgentOptions) {
    super({ keepAlive: true, maxSockets: options.maxStreams ?? 16, maxFreeSockets: 4 })
    this.#openStream = options.openStream
  }

  override createConnection(
    _options: unknown,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    this.#openStream().then(
      (stream) => callback?.(null, stream),
      // The agent reads the stream only when there is no error.
      (error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
    )
    return undefined
  }

  // A channel has none of the knobs of a TCP socket that the default implementations turn.
  override keepSocketAlive(): true {
    return true
  }
  override reuseSocket(socket: Duplex, request: http.ClientRequest): void {
    // The default takes away the listener that guarded the idle stream; all it needs of a socket is `ref`.
    super.reuseSocket(Object.assign(socket, { ref: () => socket }), request)
  }
}
