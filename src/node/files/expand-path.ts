/** `~` in paths: the extensions expand-path@openssh.com and home-directory. */

import { readFileSync } from 'node:fs'
import { statusCode } from '../../ssh/sftp/constants.ts'
import { parsePasswd } from '../os/account-files.ts'
import { StatusError } from './file-status.ts'

/** `~`, `~/x`, `~user` and `~user/x` become absolute; other paths stay. Throws StatusError for an unknown account. */
export function expandPath(path: Buffer, home: string): Buffer {
  if (path[0] !== 0x7e) return path
  const slash = path.indexOf(0x2f)
  const user = path.subarray(1, slash < 0 ? path.length : slash)
  const rest = slash < 0 ? Buffer.alloc(0) : path.subarray(slash)
  return Buffer.concat([user.length === 0 ? Buffer.from(home) : homeOf(user), rest])
}

/** Throws StatusError for an unknown account. */
export function homeOf(user: Buffer): Buffer {
  const account = parsePasswd(readFileSync('/etc/passwd', 'utf8')).get(user.toString('utf8'))
  if (account === undefined) throw new StatusError(statusCode.noSuchFile)
  return Buffer.from(account.home)
}
