/** Absolute paths as OpenSSH's server answers REALPATH: the last part need not exist. Source: OpenSSH, sftp-realpath.c. */

import { lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { posix } from 'node:path'
import { errnoOf } from '../../errors/system.ts'

const maxLinks = 32
const dot = Buffer.from('.')
const slash = Buffer.from('/')

/** Throws errors of the system. An empty path is the current directory. */
export function realPath(path: Buffer, links = 0): Buffer {
  try {
    return realpathSync.native(path.length === 0 ? dot : path, 'buffer')
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    const { parent, name } = split(path)
    if (name === '' || name === '.' || name === '..') throw error
    const directory = realpathSync.native(parent, 'buffer')
    const whole = join(directory, Buffer.from(name, 'latin1'))
    const target = linkTarget(whole)
    if (target === undefined) return whole
    if (links === maxLinks) throw error
    return realPath(target[0] === 0x2f ? target : join(directory, target), links + 1)
  }
}

/** What a link that leads nowhere says; undefined when nothing is there. */
function linkTarget(path: Buffer): Buffer | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path, 'buffer') : undefined
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

export function join(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat(directory.length === 1 && directory[0] === 0x2f ? [directory, name] : [directory, slash, name])
}

/** Latin-1 keeps every byte as one character. */
function split(path: Buffer): { readonly parent: Buffer; readonly name: string } {
  const text = path.toString('latin1').replace(/\/+$/, '')
  return { parent: Buffer.from(posix.dirname(text), 'latin1'), name: posix.basename(text) }
}
