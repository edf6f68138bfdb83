/** The `source-address` critical option: a comma-separated list of addresses and CIDR blocks (OpenSSH addr_match_cidr_list). */

import { isIPv4, isIPv6 } from 'node:net'

/**
 * True when `address` is inside one of the blocks of `list`. An empty list, or one with a single malformed entry (also host bits
 * set beyond the mask, which OpenSSH refuses), matches nobody: a typing error must not open a door.
 */
export function matchSourceAddress(list: string, address: string): boolean {
  const subject = normalize(address)
  if (subject === undefined || list.length > 65_536) return false
  let found = false
  for (const entry of list.split(',')) {
    const block = parseBlock(entry)
    if (block === undefined) return false
    if (contains(block, subject)) found = true
  }
  return found
}

/** 4 or 16 bytes; IPv4 in its IPv6 disguise (`::ffff:a.b.c.d`) has become plain IPv4. */
type Address = Buffer

interface Block {
  readonly address: Address
  readonly bits: number
}

function parseBlock(entry: string): Block | undefined {
  const [, text, mask] = /^([0-9a-fA-F.:]+)(?:\/([0-9]{1,3}))?$/.exec(entry) ?? []
  const address = text === undefined ? undefined : normalize(text)
  if (text === undefined || address === undefined) return undefined
  const whole = address.length * 8
  // `::ffff:10.0.0.0/104` is `10.0.0.0/8` once the mapped prefix is gone.
  const mapped = whole === 32 && text.includes(':')
  const bits = mask === undefined ? whole : Number(mask) - (mapped ? 96 : 0)
  if (bits < 0 || bits > whole) return undefined
  return address.every((byte, index) => (byte & ~maskByte(bits, index)) === 0) ? { address, bits } : undefined
}

/** `net.BlockList` is not used: it lets `::/0` contain every IPv4 address, OpenSSH does not. */
const contains = (block: Block, subject: Address): boolean =>
  block.address.length === subject.length &&
  block.address.every((byte, index) => (((subject[index] ?? 0) ^ byte) & maskByte(block.bits, index)) === 0)

/** The byte at `index` of a mask of `bits` bits. */
const maskByte = (bits: number, index: number): number => 0xff & (0xff00 >> Math.max(0, Math.min(8, bits - index * 8)))

function normalize(text: string): Address | undefined {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number))
  const withoutZone = text.split('%', 1)[0] ?? ''
  if (!isIPv6(withoutZone)) return undefined
  const bytes = ipv6Bytes(withoutZone)
  const mapped = bytes.readBigUInt64BE(0) === 0n && bytes.readUInt32BE(8) === 0xffff
  return mapped ? bytes.subarray(12) : bytes
}

/** The 16 bytes of a valid IPv6 address. */
function ipv6Bytes(text: string): Buffer {
  const dotted = /[0-9.]+\.[0-9]+$/.exec(text)?.[0]
  const hexOnly = dotted === undefined ? text : text.slice(0, -dotted.length) + dottedAsHex(dotted)
  const [head = '', tail] = hexOnly.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const bytes = Buffer.alloc(16)
  for (const [index, group] of [...left, ...gap, ...right].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  return bytes
}

function dottedAsHex(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number)
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}
