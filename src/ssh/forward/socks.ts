/** SOCKS 4, 4a and 5 (RFC 1928) as `ssh -D` serves it: CONNECT without authentication. The parser is bounded and does no I/O. */

import type { Duplex } from 'node:stream'
import { spliceStreams } from './splice.ts'

export type SocksStep =
  /** More bytes are needed; `reply`, if any, must be sent first. */
  | { readonly kind: 'more'; readonly reply?: Buffer }
  /** Connect there, then send `granted` or `refused`. `rest` are the first bytes for the target. */
  | {
      readonly kind: 'connect'
      readonly host: string
      readonly port: number
      readonly granted: Buffer
      readonly refused: Buffer
      readonly rest: Buffer
    }
  /** Send the reply, if any, and hang up. */
  | { readonly kind: 'bad'; readonly reply?: Buffer }

const granted4 = Buffer.from([0, 90, 0, 0, 0, 0, 0, 0])
const refused4 = Buffer.from([0, 91, 0, 0, 0, 0, 0, 0])
const reply5 = (code: number): Buffer => Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0])
const noAuthentication = Buffer.from([5, 0])
const noAcceptableMethod = Buffer.from([5, 255])

/** Longest request: version 5 with a name of 255 bytes, or version 4a with user and name of 255. */
const longest = 1024
const more: SocksStep = { kind: 'more' }
const bad: SocksStep = { kind: 'bad' }

export class SocksParser {
  #bytes: Buffer = Buffer.alloc(0)
  #greeted = false

  push(chunk: Buffer): SocksStep {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    const step = this.#step()
    // Bytes after a request belong to the target, however many they are; an unfinished request may not grow.
    return step.kind === 'more' && this.#bytes.length > longest ? bad : step
  }

  #step(): SocksStep {
    switch (this.#bytes[0]) {
      case undefined:
        return more
      case 4:
        return this.#greeted ? bad : this.#version4()
      case 5:
        return this.#greeted ? this.#request5() : this.#greeting5()
      default:
        return bad
    }
  }

  #version4(): SocksStep {
    const bytes = this.#bytes
    if (bytes.length < 9) return more
    if (bytes[1] !== 1) return { kind: 'bad', reply: refused4 }
    const port = bytes.readUInt16BE(2)
    const userEnd = bytes.indexOf(0, 8)
    if (userEnd === -1) return more
    if (userEnd - 8 > 255) return bad
    const isName = bytes.readUInt32BE(4) > 0 && bytes.readUInt32BE(4) < 256
    if (!isName) return this.#connect(bytes.subarray(4, 8).join('.'), port, userEnd + 1, granted4, refused4)
    const nameEnd = bytes.indexOf(0, userEnd + 1)
    if (nameEnd === -1) return more
    return this.#connectName(bytes.subarray(userEnd + 1, nameEnd), port, nameEnd + 1, granted4, refused4)
  }

  #greeting5(): SocksStep {
    const bytes = this.#bytes
    const count = bytes[1]
    if (count === undefined || bytes.length < 2 + count) return more
    if (!bytes.subarray(2, 2 + count).includes(0)) return { kind: 'bad', reply: noAcceptableMethod }
    this.#greeted = true
    this.#bytes = bytes.subarray(2 + count)
    const next = this.#step()
    if (next.kind === 'more') return { kind: 'more', reply: noAuthentication }
    // The client did not wait for our choice: both answers go together.
    if (next.kind === 'bad')
      return { kind: 'bad', reply: Buffer.concat([noAuthentication, next.reply ?? Buffer.alloc(0)]) }
    return {
      ...next,
      granted: Buffer.concat([noAuthentication, next.granted]),
      refused: Buffer.concat([noAuthentication, next.refused]),
    }
  }

  #request5(): SocksStep {
    const bytes = this.#bytes
    if (bytes.length < 5) return more
    if (bytes[2] !== 0) return bad
    if (bytes[1] !== 1) return { kind: 'bad', reply: reply5(7) }
    const [granted, refused] = [reply5(0), reply5(5)]
    switch (bytes[3]) {
      case 1:
        if (bytes.length < 10) return more
        return this.#connect(bytes.subarray(4, 8).join('.'), bytes.readUInt16BE(8), 10, granted, refused)
      case 3: {
        const end = 5 + (bytes[4] ?? 0)
        if (bytes.length < end + 2) return more
        return this.#connectName(bytes.subarray(5, end), bytes.readUInt16BE(end), end + 2, granted, refused)
      }
      case 4: {
        if (bytes.length < 22) return more
        const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(4 + index * 2).toString(16))
        return this.#connect(groups.join(':'), bytes.readUInt16BE(20), 22, granted, refused)
      }
      default:
        return { kind: 'bad', reply: reply5(8) }
    }
  }

  #connectName(name: Buffer, port: number, end: number, granted: Buffer, refused: Buffer): SocksStep {
    const host = name.toString('latin1')
    if (!/^[!-~]{1,255}$/.test(host)) return { kind: 'bad', reply: refused }
    return this.#connect(host, port, end, granted, refused)
  }

  #connect(host: string, port: number, end: number, granted: Buffer, refused: Buffer): SocksStep {
    return { kind: 'connect', host, port, granted, refused, rest: this.#bytes.subarray(end) }
  }
}

/** Serves one SOCKS client: parses its request, connects, splices. Resolves when both ends are closed; never rejects. */
export async function serveSocks(
  client: Duplex,
  connect: (host: string, port: number) => Promise<Duplex>,
): Promise<void> {
  client.on('error', () => {})
  const request = await readRequest(client)
  if (request === undefined) return
  let target: Duplex
  try {
    target = await connect(request.host, request.port)
  } catch {
    client.end(request.refused)
    client.resume()
    return
  }
  if (client.destroyed) {
    target.destroy()
    return
  }
  client.write(request.granted)
  if (request.rest.length > 0) client.unshift(request.rest)
  await spliceStreams(client, target)
}

function readRequest(client: Duplex): Promise<Extract<SocksStep, { kind: 'connect' }> | undefined> {
  const parser = new SocksParser()
  return new Promise((resolve) => {
    const finish = (request?: Extract<SocksStep, { kind: 'connect' }>): void => {
      client.off('data', onData).off('close', onClose).off('end', onClose)
      client.pause()
      resolve(request)
    }
    const onClose = (): void => {
      finish()
      client.destroy()
    }
    const onData = (chunk: Buffer): void => {
      const step = parser.push(chunk)
      if (step.kind === 'connect') {
        finish(step)
        return
      }
      if (step.reply !== undefined) client.write(step.reply)
      if (step.kind === 'bad') {
        finish()
        client.end()
        client.resume()
        client.once('end', () => client.destroy())
      }
    }
    client.on('data', onData).on('close', onClose).on('end', onClose)
  })
}
