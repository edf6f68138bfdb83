/**
 * Two transports joined in memory: payloads go from one to the other without encryption. For tests of the channel layer, above all
 * those in which one end breaks the protocol: `raw` sends any payload and records what comes back.
 */

import type { Transport } from '../transport/types.ts'

export interface PipeTransportOptions {
  /** Bytes queued towards the peer above which `send` answers false. */
  readonly highWaterMark?: number
}

/** What length, padding and authentication add to a packet on the wire, bytes. */
const packetOverhead = 32

export class PipeTransport implements Transport {
  readonly farewell: string | undefined = undefined
  readonly role: 'client' | 'server'
  readonly sessionId: Buffer = Buffer.alloc(32)
  readonly remoteVersion = 'SSH-2.0-pipe'
  readonly localVersion = 'SSH-2.0-pipe'
  readonly negotiated = {
    kex: 'curve25519-sha256',
    hostKey: 'ssh-ed25519',
    cipherIn: 'aes128-gcm@openssh.com',
    cipherOut: 'aes128-gcm@openssh.com',
    macIn: undefined,
    macOut: undefined,
  } as const
  readonly hostKeyBlob: Buffer = Buffer.alloc(0)
  readonly presentedHostKey = undefined
  readonly peerExtensions: ReadonlyMap<string, Buffer> = new Map()
  readonly closed: Promise<Error | undefined>
  isClosed = false
  bytesIn = 0
  bytesOut = 0
  unimplementedCount = 0
  disconnected: { readonly reason: number; readonly message: string } | undefined
  peer: PipeTransport | undefined
  readonly #highWaterMark: number
  #resolveClosed: (error: Error | undefined) => void = () => {}
  #handler: ((payload: Buffer) => void) | undefined
  #queue: Buffer[] = []
  #queued = 0
  #paused = false
  #scheduled = false
  #drain: (() => void)[] = []

  constructor(role: 'client' | 'server', options: PipeTransportOptions = {}) {
    this.role = role
    this.#highWaterMark = options.highWaterMark ?? 1024 * 1024
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  start(handler: (payload: Buffer) => void): void {
    this.#handler = handler
    this.#schedule()
  }

  send(...parts: readonly Buffer[]): boolean {
    const payload = Buffer.concat(parts)
    this.bytesOut += payload.length
    const { peer } = this
    if (peer === undefined || this.isClosed) return true
    peer.#queue.push(payload)
    peer.#queued += payload.length + packetOverhead
    peer.#schedule()
    return peer.#queued < this.#highWaterMark
  }

  drained(): Promise<void> {
    const { peer } = this
    if (peer === undefined || this.isClosed || peer.#queued < this.#highWaterMark) return Promise.resolve()
    return new Promise((resolve) => peer.#drain.push(resolve))
  }

  unimplemented(): void {
    this.unimplementedCount++
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  authenticated(): void {}

  rekey(): Promise<void> {
    return Promise.resolve()
  }

  disconnect(reason: number, message: string): void {
    if (this.isClosed) return
    this.disconnected = { reason, message }
    const { peer } = this
    this.end(undefined)
    peer?.end(new Error(`disconnected: ${message}`))
  }

  /** The stream below is gone. */
  end(error: Error | undefined): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#queue = []
    this.#queued = 0
    this.#resolveClosed(error)
    this.#wake()
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#handler === undefined || this.#queue.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const queue = this.#queue
    this.#queue = []
    let next = 0
    while (next < queue.length && !this.#paused && !this.isClosed) {
      const payload = queue[next++]
      if (payload === undefined) break
      this.#queued -= payload.length + packetOverhead
      this.bytesIn += payload.length
      this.#handler?.(payload)
      payload.fill(0xdd) // whoever kept it without copying finds out
    }
    if (!this.isClosed) this.#queue = [...queue.slice(next), ...this.#queue]
    if (this.#queued < this.#highWaterMark) this.#wake()
    this.#schedule()
  }

  #wake(): void {
    for (const resolve of this.#drain.splice(0)) resolve()
  }
}

export interface TransportPair {
  readonly client: PipeTransport
  readonly server: PipeTransport
}

export function transportPair(options: PipeTransportOptions = {}): TransportPair {
  const client = new PipeTransport('client', options)
  const server = new PipeTransport('server', options)
  client.peer = server
  server.peer = client
  return { client, server }
}
