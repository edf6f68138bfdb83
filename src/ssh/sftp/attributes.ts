/** File attributes (draft section 5). Extended ones are read over: OpenSSH does the same, and nobody uses them in version 3. */

import { WireError, type WireReader } from '../wire/reader.ts'
import type { WireWriter } from '../wire/writer.ts'
import { attributeFlag, maxExtensions } from './constants.ts'
import type { Attributes } from './types.ts'

/** Throws WireError. */
export function readAttributes(reader: WireReader): Attributes {
  const flags = reader.uint32()
  const has = (flag: number): boolean => (flags & flag) !== 0
  const attributes: Attributes = {
    ...(has(attributeFlag.size) ? { size: reader.uint64() } : {}),
    ...(has(attributeFlag.owner) ? { owner: { uid: reader.uint32(), gid: reader.uint32() } } : {}),
    ...(has(attributeFlag.permissions) ? { permissions: reader.uint32() } : {}),
    ...(has(attributeFlag.times) ? { times: { atime: reader.uint32(), mtime: reader.uint32() } } : {}),
  }
  if (has(attributeFlag.extended)) {
    const count = reader.uint32()
    if (count > maxExtensions) throw new WireError(`${count} extended attributes`)
    for (let index = 0; index < count; index++) {
      reader.string()
      reader.string()
    }
  }
  return attributes
}

export function writeAttributes(writer: WireWriter, { size, owner, permissions, times }: Attributes): void {
  writer.uint32(
    (size === undefined ? 0 : attributeFlag.size) |
      (owner === undefined ? 0 : attributeFlag.owner) |
      (permissions === undefined ? 0 : attributeFlag.permissions) |
      (times === undefined ? 0 : attributeFlag.times),
  )
  if (size !== undefined) writer.uint64(size)
  if (owner !== undefined) writer.uint32(owner.uid).uint32(owner.gid)
  if (permissions !== undefined) writer.uint32(permissions)
  if (times !== undefined) writer.uint32(times.atime).uint32(times.mtime)
}
