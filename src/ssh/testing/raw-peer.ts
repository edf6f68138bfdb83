/**
 * A peer that does as it is told: any bytes and any message, in any state, as client or as server. For tests of how the engine
 * behaves towards the hostile and the broken. It shares framing and key exchange with the engine but none of its rules.
 */

import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { generateEd25519 } from '../keys/private-key.ts'
import type { PrivateKey } from '../keys/types.ts'
import { defaultAlgorithms } from '../transport/algorithms.ts'
import { KeyExchange } from '../transport/key-exchange.ts'
import { DisconnectReason, Message } from '../transport/messages.ts'
import { PacketReader } from '../transport/packet-reader.ts'
import { PacketWriter } from '../transport/packet-writer.ts'
import type { AlgorithmPreferences } from '../transport/types.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'

export interface RawPeerOptions {
  readonly stream: Duplex
  readonly role: 'client' | 'server'
  readonly algorithms?: Partial<AlgorithmPreferences>
  readonly hostKey?: PrivateKey
  readonly version?: string
}

export interface Disconnect {
  readonly reason: number
  readonly text: string
}

export class RawPeer {
  readonly stream: Duplex
  readonly #role: 'client' | 'server'
  readonly #version: string
  readonly #writer: PacketWriter
  readonly #reader = new PacketReader(1024 * 1024)
  readonly kex: KeyExchange
  readonly #inbox: Buffer[] = []
  #text = Buffer.alloc(0)
  #remoteVersion: string | undefined
  #wake: () => void = () => undefined
  #ended = false
  #first = true

  constructor(options: RawPeerOptions) {
    this.stream = options.stream
    this.#role = options.role
    this.#version = options.version ?? 'SSH-2.0-Raw'
    this.#writer = new PacketWriter(this.stream, () => undefined)
    const client = this.#role === 'client'
    this.kex = new KeyExchange(
      {
        role: this.#role,
        clientVersion: () => (client ? this.#version : (this.#remoteVersion ?? '')),
        serverVersion: () => (client ? (this.#remoteVersion ?? '') : this.#version),
        randomBytes: (size) => randomBytes(size),
        sendKex: (payload) => this.send(payload),
        sealWith: (sealer, strict) => this.#writer.rekeyed(sealer, strict),
        openWith: (opener, strict) => this.#reader.rekeyed(opener, strict),
        verifyHost: () => undefined,
        outboundReady: () => undefined,
        finished: () => undefined,
      },
      {
        algorithms: { ...defaultAlgorithms, ...options.algorithms },
        steer: false,
        guess: true,
        hostIdentities: [{ signer: options.hostKey ?? generateEd25519() }],
      },
    )
    this.stream.on('data', (chunk: Buffer) => this.#onData(chunk))
    const ended = (): void => {
      this.#ended = true
      this.#wake()
    }
    this.stream.on('end', ended)
    this.stream.on('close', ended)
    this.stream.on('error', ended)
  }

  #onData(chunk: Buffer): void {
    let rest = chunk
    if (this.#remoteVersion === undefined) {
      this.#text = Buffer.concat([this.#text, chunk])
      const end = this.#text.indexOf('\r\n')
      if (end === -1) return
      this.#remoteVersion = this.#text.subarray(0, end).toString('latin1')
      rest = this.#text.subarray(end + 2)
    }
    this.#reader.push(rest)
    this.#wake()
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  /** Bytes as they are. */
  sendBytes(bytes: Buffer | string): void {
    this.#writer.flush()
    this.stream.write(bytes)
  }

  sendVersion(): void {
    this.sendBytes(`${this.#version}\r\n`)
  }

  /** One message, sealed with the present keys. */
  send(...parts: readonly Buffer[]): void {
    this.#writer.packet(parts)
  }

  /** The next message of the other side; undefined at the end of the stream. */
  async receive(): Promise<Buffer | undefined> {
    for (;;) {
      const waiting = this.#inbox.shift()
      if (waiting !== undefined) return waiting
      const payload = this.#remoteVersion === undefined ? undefined : this.#reader.next()
      if (payload !== undefined) return payload
      if (this.#ended) return undefined
      await this.#changed()
    }
  }

  /** Runs a whole key exchange, the first or a later one, from our KEXINIT to both NEWKEYS. Other messages are kept. */
  async exchangeKeys(): Promise<void> {
    this.kex.begin()
    const kept: Buffer[] = []
    while (this.kex.running || !this.kex.firstDone) {
      const payload = await this.receive()
      if (payload === undefined) throw new Error('the other side ended the key exchange')
      const type = payload[0] ?? 0
      if (type === Message.DISCONNECT) throw new Error(`disconnected: ${parseDisconnect(payload).text}`)
      if (type < 20 || type > 49) kept.push(payload)
      else await this.kex.handle(payload, this.#first)
      this.#first = false
    }
    this.#inbox.push(...kept)
  }

  /** Version and first key exchange. */
  async handshake(): Promise<void> {
    this.sendVersion()
    await this.exchangeKeys()
  }

  /** Client: asks for the authentication service and waits for the answer. */
  async requestService(): Promise<void> {
    this.send(new WireWriter().byte(Message.SERVICE_REQUEST).string('ssh-userauth').take())
    await this.receiveType(Message.SERVICE_ACCEPT)
  }

  /** The next message of this type; others are dropped. Throws when the stream ends before. */
  async receiveType(type: number): Promise<Buffer> {
    for (;;) {
      const payload = await this.receive()
      if (payload === undefined) throw new Error(`the stream ended before message ${type}`)
      if (payload[0] === type) return payload
      if (payload[0] === Message.DISCONNECT) throw new Error(`disconnected: ${parseDisconnect(payload).text}`)
    }
  }

  /** Reads to the end: what DISCONNECT said, and every message before it. Undefined when the stream ended without one. */
  async untilClosed(): Promise<{ readonly disconnect: Disconnect | undefined; readonly messages: readonly Buffer[] }> {
    const messages: Buffer[] = []
    for (;;) {
      const payload = await this.receive()
      if (payload === undefined) return { disconnect: undefined, messages }
      if (payload[0] === Message.DISCONNECT) return { disconnect: parseDisconnect(payload), messages }
      messages.push(payload)
    }
  }

  disconnect(): void {
    this.send(disconnectMessage(DisconnectReason.BY_APPLICATION, 'bye'))
  }
}

export function disconnectMessage(reason: number, text: string): Buffer {
  return new WireWriter().byte(Message.DISCONNECT).uint32(reason).string(text).string('').take()
}

export function parseDisconnect(payload: Buffer): Disconnect {
  const reader = new WireReader(payload, 1)
  return { reason: reader.uint32(), text: reader.text() }
}
