/**
 * The first packet of an X11 connection (X Window System Protocol, section 8). The node only ever sees a made-up cookie; here it is
 * checked and replaced by the real one, so that whoever got hold of it there cannot use the display once the session is over
 * (OpenSSH channels.c, x11_open_helper).
 */

import { timingSafeEqual } from 'node:crypto'

export interface Cookie {
  /** `MIT-MAGIC-COOKIE-1`. */
  readonly protocol: string
  readonly data: Buffer
}

export type FirstPacket =
  | { readonly kind: 'more' }
  /** What goes to the X server in place of everything that has arrived so far. */
  | { readonly kind: 'ok'; readonly bytes: Buffer }
  | { readonly kind: 'refused'; readonly reason: string }

const headerBytes = 12
/** Of the name of the method and of its data each: far more than any has. */
const largestField = 1024

const padded = (length: number): number => (length + 3) & ~3

/** `received` is everything since the connection began. */
export function replaceCookie(received: Buffer, fake: Cookie, real: Cookie): FirstPacket {
  const order = received[0]
  if (order === undefined) return { kind: 'more' }
  if (order !== 0x42 && order !== 0x6c) return { kind: 'refused', reason: 'it is no X11 connection' }
  if (received.length < headerBytes) return { kind: 'more' }
  const length = (at: number): number => (order === 0x42 ? received.readUInt16BE(at) : received.readUInt16LE(at))
  const [nameLength, dataLength] = [length(6), length(8)]
  if (nameLength > largestField || dataLength > largestField) {
    return { kind: 'refused', reason: 'its authentication is too long' }
  }
  const dataAt = headerBytes + padded(nameLength)
  const end = dataAt + padded(dataLength)
  if (received.length < end) return { kind: 'more' }
  const name = received.subarray(headerBytes, headerBytes + nameLength).toString('latin1')
  const data = received.subarray(dataAt, dataAt + dataLength)
  if (name !== fake.protocol) return { kind: 'refused', reason: 'it authenticates in another way' }
  if (data.length !== fake.data.length || !timingSafeEqual(data, fake.data)) {
    return { kind: 'refused', reason: 'its cookie is wrong' }
  }
  const bytes = Buffer.concat([
    received.subarray(0, headerBytes),
    field(Buffer.from(real.protocol, 'latin1')),
    field(real.data),
    received.subarray(end),
  ])
  const write = (value: number, at: number) =>
    order === 0x42 ? bytes.writeUInt16BE(value, at) : bytes.writeUInt16LE(value, at)
  write(real.protocol.length, 6)
  write(real.data.length, 8)
  return { kind: 'ok', bytes }
}

const field = (content: Buffer): Buffer =>
  Buffer.concat([content, Buffer.alloc(padded(content.length) - content.length)])
