/** Bytes to SFTP packets. Everything here throws WireError for what is malformed or out of bounds. */

import { WireError, WireReader } from '../wire/reader.ts'
import { readAttributes } from './attributes.ts'
import { extensionName, maxExtensions, maxHandle, maxPath, packetType } from './constants.ts'
import type { Extension, InitPacket, NameEntry, SftpLimits, SftpReply, SftpRequest, StatVfs } from './types.ts'

/** Ids in one users-groups-by-id@openssh.com, far above what a directory listing asks for at once. */
const maxIds = 1024
/** Entries in one NAME: more cannot fit into a packet. */
const maxNames = 16_384

/** INIT or VERSION; the packet begins with its type. */
export function decodeInit(packet: Buffer): InitPacket {
  const reader = new WireReader(packet)
  const type = reader.byte()
  if (type !== packetType.init && type !== packetType.version)
    throw new WireError(`SFTP begins with a packet of type ${type}`)
  const version = reader.uint32()
  const extensions: Extension[] = []
  while (reader.remaining > 0) {
    if (extensions.length === maxExtensions) throw new WireError('too many SFTP extensions')
    extensions.push({ name: reader.ascii(), data: reader.string() })
  }
  return { type: type === packetType.init ? 'init' : 'version', version, extensions }
}

/** Type and id of a packet, so that one which cannot be read can still be answered. */
export function packetHead(packet: Buffer): { readonly type: number; readonly id: number } {
  const reader = new WireReader(packet)
  return { type: reader.byte(), id: reader.uint32() }
}

/** Undefined for a type that is no request of version 3. Shares memory with the packet. What stands behind the last field is ignored, as OpenSSH does. */
export function decodeRequest(packet: Buffer): SftpRequest | undefined {
  const reader = new WireReader(packet)
  const type = reader.byte()
  const id = reader.uint32()
  const path = (): Buffer => reader.string(maxPath)
  const handle = (): Buffer => reader.string(maxHandle)
  switch (type) {
    case packetType.open:
      return { type: 'open', id, path: path(), flags: reader.uint32(), attributes: readAttributes(reader) }
    case packetType.close:
      return { type: 'close', id, handle: handle() }
    case packetType.read:
      return { type: 'read', id, handle: handle(), offset: reader.uint64(), length: reader.uint32() }
    case packetType.write:
      return { type: 'write', id, handle: handle(), offset: reader.uint64(), data: reader.string() }
    case packetType.lstat:
      return { type: 'lstat', id, path: path() }
    case packetType.fstat:
      return { type: 'fstat', id, handle: handle() }
    case packetType.setstat:
      return { type: 'setstat', id, path: path(), attributes: readAttributes(reader) }
    case packetType.fsetstat:
      return { type: 'fsetstat', id, handle: handle(), attributes: readAttributes(reader) }
    case packetType.opendir:
      return { type: 'opendir', id, path: path() }
    case packetType.readdir:
      return { type: 'readdir', id, handle: handle() }
    case packetType.remove:
      return { type: 'remove', id, path: path() }
    case packetType.mkdir:
      return { type: 'mkdir', id, path: path(), attributes: readAttributes(reader) }
    case packetType.rmdir:
      return { type: 'rmdir', id, path: path() }
    case packetType.realpath:
      return { type: 'realpath', id, path: path() }
    case packetType.stat:
      return { type: 'stat', id, path: path() }
    case packetType.rename:
      return { type: 'rename', id, from: path(), to: path() }
    case packetType.readlink:
      return { type: 'readlink', id, path: path() }
    case packetType.symlink:
      return { type: 'symlink', id, target: path(), link: path() }
    case packetType.extended:
      return decodeExtended(id, reader)
    default:
      return undefined
  }
}

function decodeExtended(id: number, reader: WireReader): SftpRequest {
  const name = reader.ascii()
  const path = (): Buffer => reader.string(maxPath)
  const handle = (): Buffer => reader.string(maxHandle)
  switch (name) {
    case extensionName.posixRename:
      return { type: 'posix-rename', id, from: path(), to: path() }
    case extensionName.hardlink:
      return { type: 'hardlink', id, from: path(), to: path() }
    case extensionName.statvfs:
      return { type: 'statvfs', id, path: path() }
    case extensionName.fstatvfs:
      return { type: 'fstatvfs', id, handle: handle() }
    case extensionName.fsync:
      return { type: 'fsync', id, handle: handle() }
    case extensionName.lsetstat:
      return { type: 'lsetstat', id, path: path(), attributes: readAttributes(reader) }
    case extensionName.limits:
      return { type: 'limits', id }
    case extensionName.expandPath:
      return { type: 'expand-path', id, path: path() }
    case extensionName.copyData:
      return {
        type: 'copy-data',
        id,
        from: handle(),
        fromOffset: reader.uint64(),
        length: reader.uint64(),
        to: handle(),
        toOffset: reader.uint64(),
      }
    case extensionName.homeDirectory:
      return { type: 'home-directory', id, user: path() }
    case extensionName.usersGroupsById:
      return { type: 'users-groups-by-id', id, uids: unpackIds(reader.string()), gids: unpackIds(reader.string()) }
    default:
      return { type: 'extended', id, name, data: reader.rest() }
  }
}

/** Undefined for a type that is no reply of version 3. Shares memory with the packet. */
export function decodeReply(packet: Buffer): SftpReply | undefined {
  const reader = new WireReader(packet)
  const type = reader.byte()
  const id = reader.uint32()
  switch (type) {
    case packetType.status: {
      const code = reader.uint32()
      // Versions before 3 have no text, and some servers leave it out.
      const message = reader.remaining === 0 ? '' : reader.string(maxPath).toString('utf8')
      return { type: 'status', id, code, message }
    }
    case packetType.handle:
      return { type: 'handle', id, handle: reader.string(maxHandle) }
    case packetType.data:
      return { type: 'data', id, data: reader.string() }
    case packetType.name: {
      const count = reader.uint32()
      if (count > maxNames) throw new WireError(`SFTP names: ${count} in one packet`)
      const entries: NameEntry[] = []
      for (let index = 0; index < count; index++) {
        entries.push({
          name: reader.string(maxPath),
          longName: reader.string(maxPath),
          attributes: readAttributes(reader),
        })
      }
      return { type: 'name', id, entries }
    }
    case packetType.attrs:
      return { type: 'attrs', id, attributes: readAttributes(reader) }
    case packetType.extendedReply:
      return { type: 'extended-reply', id, data: reader.rest() }
    default:
      return undefined
  }
}

export function readStatVfs(data: Buffer): StatVfs {
  const reader = new WireReader(data)
  return {
    blockSize: reader.uint64(),
    fragmentSize: reader.uint64(),
    blocks: reader.uint64(),
    freeBlocks: reader.uint64(),
    availableBlocks: reader.uint64(),
    files: reader.uint64(),
    freeFiles: reader.uint64(),
    availableFiles: reader.uint64(),
    fileSystemId: reader.uint64(),
    flags: reader.uint64(),
    maxName: reader.uint64(),
  }
}

export function readLimits(data: Buffer): SftpLimits {
  const reader = new WireReader(data)
  return {
    maxPacket: reader.uint64(),
    maxRead: reader.uint64(),
    maxWrite: reader.uint64(),
    maxHandles: reader.uint64(),
  }
}

export function readUsersGroups(data: Buffer): {
  readonly users: readonly string[]
  readonly groups: readonly string[]
} {
  const reader = new WireReader(data)
  return { users: unpackNames(reader.string()), groups: unpackNames(reader.string()) }
}

function unpackIds(bytes: Buffer): readonly number[] {
  if (bytes.length > 4 * maxIds) throw new WireError(`${bytes.length / 4} ids in one request, at most ${maxIds}`)
  const reader = new WireReader(bytes)
  const ids: number[] = []
  while (reader.remaining > 0) ids.push(reader.uint32())
  return ids
}

function unpackNames(bytes: Buffer): readonly string[] {
  const reader = new WireReader(bytes)
  const names: string[] = []
  while (reader.remaining > 0) {
    if (names.length === maxIds) throw new WireError('too many names in one reply')
    names.push(reader.string(maxPath).toString('utf8'))
  }
  return names
}
