import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WireError } from '../wire/reader.ts'
import {
  type Attributes,
  decodeInit,
  decodeReply,
  decodeRequest,
  encodeInit,
  encodeLimits,
  encodeReply,
  encodeRequest,
  encodeStatVfs,
  encodeUsersGroups,
  encodeWriteHeader,
  PacketSplitter,
  packetType,
  readLimits,
  readStatVfs,
  readUsersGroups,
  type SftpReply,
  type SftpRequest,
  type StatVfs,
} from './messages.ts'

const uint32 = fc.nat({ max: 0xffff_ffff })
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((value) => Buffer.from(value))
const path = bytes(100)
const handle = bytes(256)
const attributes: fc.Arbitrary<Attributes> = fc.record(
  {
    size: uint64,
    owner: fc.record({ uid: uint32, gid: uint32 }),
    permissions: uint32,
    times: fc.record({ atime: uint32, mtime: uint32 }),
  },
  { requiredKeys: [] },
)
const is = <T extends string>(...types: T[]): fc.Arbitrary<T> => fc.constantFrom(...types)

const requests: fc.Arbitrary<SftpRequest> = fc.oneof(
  fc.record({ type: is('open'), id: uint32, path, flags: uint32, attributes }),
  fc.record({ type: is('close', 'fstat', 'readdir', 'fstatvfs', 'fsync'), id: uint32, handle }),
  fc.record({ type: is('read'), id: uint32, handle, offset: uint64, length: uint32 }),
  fc.record({ type: is('write'), id: uint32, handle, offset: uint64, data: bytes(2000) }),
  fc.record({ type: is('fsetstat'), id: uint32, handle, attributes }),
  fc.record({
    type: is('lstat', 'stat', 'opendir', 'remove', 'rmdir', 'realpath', 'readlink', 'statvfs', 'expand-path'),
    id: uint32,
    path,
  }),
  fc.record({ type: is('setstat', 'mkdir', 'lsetstat'), id: uint32, path, attributes }),
  fc.record({ type: is('rename', 'posix-rename', 'hardlink'), id: uint32, from: path, to: path }),
  fc.record({ type: is('symlink'), id: uint32, target: path, link: path }),
  fc.record({ type: is('limits'), id: uint32 }),
  fc.record({
    type: is('copy-data'),
    id: uint32,
    from: handle,
    fromOffset: uint64,
    length: uint64,
    to: handle,
    toOffset: uint64,
  }),
  fc.record({ type: is('home-directory'), id: uint32, user: path }),
  fc.record({
    type: is('users-groups-by-id'),
    id: uint32,
    uids: fc.array(uint32, { maxLength: 20 }),
    gids: fc.array(uint32, { maxLength: 20 }),
  }),
  fc.record({ type: is('extended'), id: uint32, name: fc.constant('x@example.com'), data: bytes(50) }),
)

const replies: fc.Arbitrary<SftpReply> = fc.oneof(
  fc.record({ type: is('status'), id: uint32, code: uint32, message: fc.string({ unit: 'grapheme' }) }),
  fc.record({ type: is('handle'), id: uint32, handle }),
  fc.record({ type: is('data', 'extended-reply'), id: uint32, data: bytes(2000) }),
  fc.record({
    type: is('name'),
    id: uint32,
    entries: fc.array(fc.record({ name: path, longName: path, attributes }), { maxLength: 10 }),
  }),
  fc.record({ type: is('attrs'), id: uint32, attributes }),
)

describe('SFTP packets', () => {
  test('requests come back as they were', () => {
    fc.assert(
      fc.property(requests, (request) => {
        expect(decodeRequest(encodeRequest(request).subarray(4))).toEqual(request)
      }),
    )
  })

  test('replies come back as they were', () => {
    fc.assert(
      fc.property(replies, (reply) => {
        expect(decodeReply(encodeReply(reply).subarray(4))).toEqual(reply)
      }),
    )
  })

  test('INIT and VERSION come back with their extensions', () => {
    const packet = {
      type: 'version',
      version: 3,
      extensions: [{ name: 'posix-rename@openssh.com', data: Buffer.from('1') }],
    } as const
    expect(decodeInit(encodeInit(packet).subarray(4))).toEqual(packet)
  })

  test('replies of extensions come back as they were', () => {
    const ofSize: fc.Arbitrary<StatVfs> = fc.record({
      blockSize: uint64,
      fragmentSize: uint64,
      blocks: uint64,
      freeBlocks: uint64,
      availableBlocks: uint64,
      files: uint64,
      freeFiles: uint64,
      availableFiles: uint64,
      fileSystemId: uint64,
      flags: uint64,
      maxName: uint64,
    })
    fc.assert(
      fc.property(ofSize, (value) => {
        expect(readStatVfs(encodeStatVfs(value))).toEqual(value)
      }),
    )
    const limits = { maxPacket: 1n, maxRead: 2n, maxWrite: 3n, maxHandles: 4n }
    expect(readLimits(encodeLimits(limits))).toEqual(limits)
    const names = { users: ['root', ''], groups: ['gruppe'] }
    expect(readUsersGroups(encodeUsersGroups(names.users, names.groups))).toEqual(names)
  })

  test('the head of a WRITE and its data are what the whole would be', () => {
    const [data, name] = [Buffer.from('content'), Buffer.from('h1')]
    const whole = encodeRequest({ type: 'write', id: 7, handle: name, offset: 2n ** 40n, data })
    expect(Buffer.concat([encodeWriteHeader(7, name, 2n ** 40n, data.length), data])).toEqual(whole)
  })

  test('any bytes give a packet or a WireError, nothing else', () => {
    const input = fc.tuple(
      fc.oneof(fc.constantFrom(...Object.values(packetType)), fc.nat({ max: 255 })),
      fc.uint8Array({ maxLength: 300 }),
    )
    fc.assert(
      fc.property(input, ([type, rest]) => {
        const packet = Buffer.from([type, ...rest])
        for (const decode of [decodeInit, decodeRequest, decodeReply]) {
          try {
            decode(packet)
          } catch (error) {
            expect(error).toBeInstanceOf(WireError)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    { name: 'a path of 2^32-1 bytes', packet: [packetType.stat, 0, 0, 0, 1, 255, 255, 255, 255] },
    { name: 'a path that ends early', packet: [packetType.stat, 0, 0, 0, 1, 0, 0, 0, 2, 65] },
    { name: 'no id', packet: [packetType.stat, 0, 0] },
    { name: '2^32-1 names', packet: [packetType.name, 0, 0, 0, 1, 255, 255, 255, 255] },
    { name: '2^31 extended attributes', packet: [packetType.attrs, 0, 0, 0, 1, 128, 0, 0, 0, 128, 0, 0, 0] },
  ])('$name is refused', ({ packet }) => {
    const decode = (packet[0] ?? 0) > 100 ? decodeReply : decodeRequest
    expect(() => decode(Buffer.from(packet))).toThrow(WireError)
  })

  test('a handle of more than 256 bytes is refused', () => {
    const packet = encodeRequest({ type: 'close', id: 1, handle: Buffer.alloc(257) }).subarray(4)
    expect(() => decodeRequest(packet)).toThrow(WireError)
  })
})

describe('PacketSplitter', () => {
  test('gives the same packets however the stream is cut', () => {
    const stream = fc.tuple(fc.array(requests, { minLength: 1, maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }))
    fc.assert(
      fc.property(stream, ([list, cuts]) => {
        const whole = Buffer.concat(list.map(encodeRequest))
        const places = [0, ...cuts.map((cut) => cut % whole.length), whole.length].sort((a, b) => a - b)
        const splitter = new PacketSplitter()
        const got: Buffer[] = []
        places.forEach((to, index) => {
          for (const packet of splitter.push(whole.subarray(places[index - 1] ?? 0, to))) got.push(Buffer.from(packet))
        })
        expect(got.map(decodeRequest)).toEqual(list)
        expect(splitter.isPartial).toBe(false)
      }),
    )
  })

  test.each([0, 262_145, 0xffff_ffff])('a length of %d is refused before anything is kept', (length) => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(length)
    expect(() => [...new PacketSplitter().push(head)]).toThrow(WireError)
  })
})
