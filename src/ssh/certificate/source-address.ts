/** The `source-address` critical option: a comma-separated list of addresses and CIDR blocks (OpenSSH addr_match_cidr_list). */

import { BlockList, isIPv4, isIPv6 } from 'node:net'

/**
 * True when `address` is inside one of the blocks of `list`. An empty list, or one with a single malformed entry (also host bits
 * set beyond the mask, which OpenSSH refuses), matches nobody: a typing error must not open a door.
 */
export function matchSourceAddress(list: string, address: string): boolean {
  const subject = normalize(address)
  if (subject === undefined || list.length > 65_536) return false
  const blocks = new BlockList()
  for (const entry of list.split(',')) if (!addBlock(blocks, entry)) return false
  return blocks.check(subject.address, subject.family)
}

interface Address {
  readonly address: string
  readonly family: 'ipv4' | 'ipv6'
  readonly bytes: Buffer
}

function addBlock(blocks: BlockList, entry: string): boolean {
  const [, text, mask] = /^([0-9a-fA-F.:]+)(?:\/([0-9]{1,3}))?$/.exec(entry) ?? []
  if (text === undefined) return false
  const block = normalize(text)
  if (block === undefined) return false
  const whole = block.bytes.length * 8
  // `::ffff:10.0.0.0/104` is `10.0.0.0/8` once the mapped prefix is gone.
  const mapped = block.family === 'ipv4' && text.includes(':')
  const bits = mask === undefined ? whole : Number(mask) - (mapped ? 96 : 0)
  if (bits < 0 || bits > whole || hasHostBits(block.bytes, bits)) return false
  blocks.addSubnet(block.address, bits, block.family)
  return true
}

function normalize(text: string): Address | undefined {
  if (isIPv4(text)) return { address: text, family: 'ipv4', bytes: Buffer.from(text.split('.').map(Number)) }
  const withoutZone = text.split('%', 1)[0] ?? ''
  if (!isIPv6(withoutZone)) return undefined
  const bytes = ipv6Bytes(withoutZone)
  const mapped = bytes.readBigUInt64BE(0) === 0n && bytes.readUInt32BE(8) === 0xffff
  if (!mapped) return { address: withoutZone, family: 'ipv6', bytes }
  const inner = bytes.subarray(12)
  return { address: inner.join('.'), family: 'ipv4', bytes: inner }
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

function hasHostBits(bytes: Buffer, bits: number): boolean {
  return bytes.some((byte, index) => {
    const kept = Math.max(0, Math.min(8, bits - index * 8))
    return (byte & (0xff >> kept)) !== 0
  })
}
