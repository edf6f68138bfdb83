/**
 * The requests that wait for their reply, and the stream below. A reply counts only when it answers a request that is outstanding;
 * after anything else the server is not to be trusted with another one, and all that waits rejects.
 */

import type { Duplex } from 'node:stream'
import { ConnectionProblem, LimitExceeded } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { brokenProtocol } from './client-errors.ts'
import { maxPacket } from './constants.ts'
import { decodeInit, decodeReply } from './decode.ts'
import { PacketSplitter } from './packets.ts'
import type { InitPacket, SftpReply } from './types.ts'

interface Waiting {
  resolve(reply: SftpReply): void
  reject(error: unknown): void
}

/** More than any window of pipelined requests; a caller that forgets to wait is stopped here. */
const maxOutstanding = 4096

export class RequestQueue {
  readonly #stream: Duplex
  readonly #splitter = new PacketSplitter(maxPacket)
  readonly #waiting = new Map<number, Waiting>()
  readonly #version = Promise.withResolvers<InitPacket>()
  #greeted = false
  #nextId = 0
  #failure: unknown

  /** `label`: whose connection it is, for messages. */
  constructor(stream: Duplex, label: string) {
    this.#stream = stream
    const lost = (cause?: unknown) =>
      new ConnectionProblem(
        `${label}${label === '' ? '' : ' '}the connection to the SFTP server ended`,
        cause === undefined ? {} : { cause },
      )
    this.#version.promise.catch(() => undefined)
    stream.on('data', (block: Buffer) => this.#receive(block))
    stream.once('error', (error) => this.fail(lost(error)))
    stream.once('end', () => this.fail(lost()))
    stream.once('close', () => this.fail(lost()))
  }

  /** The server's VERSION packet. */
  get version(): Promise<InitPacket> {
    return this.#version.promise
  }

  /** Sends what was encoded with the id that `encode` is given. */
  ask(encode: (id: number) => readonly Buffer[]): Promise<SftpReply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#waiting.size >= maxOutstanding)
      return Promise.reject(new LimitExceeded(`${maxOutstanding} SFTP requests are waiting for an answer`))
    const id = this.#nextId
    this.#nextId = (id + 1) >>> 0
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.send(encode(id))
    })
  }

  send(parts: readonly Buffer[]): void {
    const stream = this.#stream
    if (parts.length > 1) stream.cork()
    for (const part of parts) stream.write(part)
    if (parts.length > 1) stream.uncork()
  }

  /** For what only the asker can read. Throws ConnectionProblem, and trusts the server no more, when it does not parse. */
  parse<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      const broken = brokenProtocol(messageOf(error))
      this.fail(broken)
      throw broken
    }
  }

  /** Everything that waits, and everything asked later, rejects with this. The first reason counts. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#version.reject(error)
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.#stream.destroy()
  }

  #receive(block: Buffer): void {
    if (this.#failure !== undefined) return
    try {
      for (const packet of this.#splitter.push(block)) this.#take(packet)
    } catch (error) {
      this.fail(brokenProtocol(messageOf(error)))
    }
  }

  #take(packet: Buffer): void {
    if (!this.#greeted) {
      this.#greeted = true
      this.#version.resolve(decodeInit(packet))
      return
    }
    const reply = decodeReply(packet)
    const waiting = reply === undefined ? undefined : this.#waiting.get(reply.id)
    if (reply === undefined || waiting === undefined) throw new Error('a reply to a question that nobody asked')
    this.#waiting.delete(reply.id)
    waiting.resolve(reply)
  }
}
