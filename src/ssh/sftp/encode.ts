/** SFTP packets to bytes, with their length field. */

import { WireWriter } from '../wire/writer.ts'
import { writeAttributes } from './attributes.ts'
import { extensionName, packetType, statusText } from './constants.ts'
import type { InitPacket, SftpLimits, SftpReply, SftpRequest, StatVfs } from './types.ts'

const start = (type: number, sizeHint?: number): WireWriter => new WireWriter(sizeHint).uint32(0).byte(type)

function finish(writer: WireWriter): Buffer {
  const packet = writer.take()
  packet.writeUInt32BE(packet.length - 4, 0)
  return packet
}

export function encodeInit(packet: InitPacket): Buffer {
  const writer = start(packetType[packet.type], 512).uint32(packet.version)
  for (const { name, data } of packet.extensions) writer.string(name).string(data)
  return finish(writer)
}

export function encodeRequest(request: SftpRequest): Buffer {
  const writer = isExtension(request.type)
    ? start(packetType.extended).uint32(request.id)
    : start(packetType[request.type], 'data' in request ? request.data.length + 64 : undefined).uint32(request.id)
  switch (request.type) {
    case 'open':
      writer.string(request.path).uint32(request.flags)
      writeAttributes(writer, request.attributes)
      break
    case 'close':
    case 'fstat':
    case 'readdir':
      writer.string(request.handle)
      break
    case 'read':
      writer.string(request.handle).uint64(request.offset).uint32(request.length)
      break
    case 'write':
      writer.string(request.handle).uint64(request.offset).string(request.data)
      break
    case 'fsetstat':
      writeAttributes(writer.string(request.handle), request.attributes)
      break
    case 'lstat':
    case 'stat':
    case 'opendir':
    case 'remove':
    case 'rmdir':
    case 'realpath':
    case 'readlink':
      writer.string(request.path)
      break
    case 'setstat':
    case 'mkdir':
      writeAttributes(writer.string(request.path), request.attributes)
      break
    case 'rename':
      writer.string(request.from).string(request.to)
      break
    case 'symlink':
      writer.string(request.target).string(request.link)
      break
    case 'posix-rename':
      writer.string(extensionName.posixRename).string(request.from).string(request.to)
      break
    case 'hardlink':
      writer.string(extensionName.hardlink).string(request.from).string(request.to)
      break
    case 'statvfs':
      writer.string(extensionName.statvfs).string(request.path)
      break
    case 'expand-path':
      writer.string(extensionName.expandPath).string(request.path)
      break
    case 'lsetstat':
      writeAttributes(writer.string(extensionName.lsetstat).string(request.path), request.attributes)
      break
    case 'fstatvfs':
      writer.string(extensionName.fstatvfs).string(request.handle)
      break
    case 'fsync':
      writer.string(extensionName.fsync).string(request.handle)
      break
    case 'limits':
      writer.string(extensionName.limits)
      break
    case 'copy-data':
      writer.string(extensionName.copyData).string(request.from).uint64(request.fromOffset).uint64(request.length)
      writer.string(request.to).uint64(request.toOffset)
      break
    case 'home-directory':
      writer.string(extensionName.homeDirectory).string(request.user)
      break
    case 'users-groups-by-id':
      writer.string(extensionName.usersGroupsById).string(packIds(request.uids)).string(packIds(request.gids))
      break
    case 'extended':
      writer.string(request.name).bytes(request.data)
      break
  }
  return finish(writer)
}

type Plain = Exclude<SftpRequest['type'], 'extended' | Extended>
type Extended =
  | 'posix-rename'
  | 'hardlink'
  | 'statvfs'
  | 'expand-path'
  | 'lsetstat'
  | 'fstatvfs'
  | 'fsync'
  | 'limits'
  | 'copy-data'
  | 'home-directory'
  | 'users-groups-by-id'

const isExtension = (type: SftpRequest['type']): type is Exclude<SftpRequest['type'], Plain> =>
  type === 'extended' || !Object.hasOwn(packetType, type)

/** What stands before `length` bytes of data in a WRITE: for writers that do not want the data copied. */
export function encodeWriteHeader(id: number, handle: Buffer, offset: bigint, length: number): Buffer {
  const writer = start(packetType.write, 32 + handle.length)
    .uint32(id)
    .string(handle)
    .uint64(offset)
    .uint32(length)
  const header = writer.take()
  header.writeUInt32BE(header.length - 4 + length, 0)
  return header
}

export function encodeReply(reply: SftpReply): Buffer {
  const writer = start(
    packetType[reply.type === 'extended-reply' ? 'extendedReply' : reply.type],
    'data' in reply ? reply.data.length + 16 : undefined,
  ).uint32(reply.id)
  switch (reply.type) {
    case 'status':
      writer.uint32(reply.code).string(reply.message).string('')
      break
    case 'handle':
      writer.string(reply.handle)
      break
    case 'data':
      writer.string(reply.data)
      break
    case 'name':
      writer.uint32(reply.entries.length)
      for (const { name, longName, attributes } of reply.entries) {
        writeAttributes(writer.string(name).string(longName), attributes)
      }
      break
    case 'attrs':
      writeAttributes(writer, reply.attributes)
      break
    case 'extended-reply':
      writer.bytes(reply.data)
      break
  }
  return finish(writer)
}

export function statusReply(id: number, code: number, message = statusText[code] ?? 'Unknown error'): SftpReply {
  return { type: 'status', id, code, message }
}

export function encodeStatVfs(value: StatVfs): Buffer {
  const writer = new WireWriter(88)
  writer.uint64(value.blockSize).uint64(value.fragmentSize).uint64(value.blocks).uint64(value.freeBlocks)
  writer.uint64(value.availableBlocks).uint64(value.files).uint64(value.freeFiles).uint64(value.availableFiles)
  return writer.uint64(value.fileSystemId).uint64(value.flags).uint64(value.maxName).take()
}

export function encodeLimits(value: SftpLimits): Buffer {
  const writer = new WireWriter(32)
  return writer.uint64(value.maxPacket).uint64(value.maxRead).uint64(value.maxWrite).uint64(value.maxHandles).take()
}

/** Names in the order of the ids asked for; an unknown one is empty. */
export function encodeUsersGroups(users: readonly string[], groups: readonly string[]): Buffer {
  return new WireWriter().string(packNames(users)).string(packNames(groups)).take()
}

function packIds(ids: readonly number[]): Buffer {
  const writer = new WireWriter()
  for (const id of ids) writer.uint32(id)
  return writer.take()
}

function packNames(names: readonly string[]): Buffer {
  const writer = new WireWriter()
  for (const name of names) writer.string(name)
  return writer.take()
}
