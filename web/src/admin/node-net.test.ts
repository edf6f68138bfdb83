import * as node from 'node:net'
import { expect, test } from 'vitest'
import { BlockList, isIP, isIPv4 } from './node-net.ts'

test.each([
  '1.2.3.4',
  '255.255.255.255',
  '256.1.1.1',
  '01.2.3.4',
  '1.2.3',
  '1.2.3.4.5',
  '',
  '::',
  '::1',
  '1::',
  ':',
  ':::',
  '1:2:3:4:5:6:7:8',
  '1:2:3:4:5:6:7::',
  '::2:3:4:5:6:7:8',
  '1::2:3:4:5:6:7:8',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '2001:db8::/32',
  '::ffff:1.2.3.4',
  '::1.2.3',
  '1.2.3.4::',
  '1:2:3:4:5:6:1.2.3.4',
  '1:2:3:4:5:6:7:1.2.3.4',
  '12345::',
  'g::',
  'fe80::1%eth0',
  'fe80::1%',
  '1::2::3',
  'localhost',
  ' 1.2.3.4',
])('%j is what Node.js says', (text) => {
  expect(isIP(text)).toBe(node.isIP(text))
  expect(isIPv4(text)).toBe(node.isIPv4(text))
})

test.each([
  ['10.0.0.0', 33, 'ipv4'],
  ['10.0.0.0', -1, 'ipv4'],
  ['::', 129, 'ipv6'],
] as const)('%s/%i is no block', (address, prefix, family) => {
  expect(() => new BlockList().addSubnet(address, prefix, family)).toThrow(RangeError)
  expect(() => new node.BlockList().addSubnet(address, prefix, family)).toThrow(RangeError)
})
