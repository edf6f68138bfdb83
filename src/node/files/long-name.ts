/** A file's line as `ls -l` prints it, for people who look through clients that show it unread. Source: OpenSSH, sftp-common.c. */

import { readFileSync, type Stats } from 'node:fs'
import { parseGroups, parsePasswd } from '../os/account-files.ts'

export interface Names {
  user(uid: number): string | undefined
  group(gid: number): string | undefined
}

/** From the local files, read when first asked for; others have no name here. */
export function localNames(): Names {
  let users: ReadonlyMap<number, string> | undefined
  let groups: ReadonlyMap<number, string> | undefined
  const readUsers = () => byId([...parsePasswd(read('/etc/passwd'))].map(([name, { uid }]) => [name, uid]))
  const readGroups = () => byId([...parseGroups(read('/etc/group'))])
  return {
    user(uid) {
      users ??= readUsers()
      return users.get(uid)
    },
    group(gid) {
      groups ??= readGroups()
      return groups.get(gid)
    },
  }
}

function byId(entries: readonly (readonly [string, number])[]): ReadonlyMap<number, string> {
  const names = new Map<number, string>()
  for (const [name, id] of entries) if (!names.has(id)) names.set(id, name)
  return names
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const halfYearMs = (365 * 86_400_000) / 2

/** `nowMs`: older than half a year or from the future shows the year and not the time. */
export function longName(name: Buffer, stat: Stats, names: Names, nowMs: number): Buffer {
  const user = (names.user(stat.uid) ?? String(stat.uid)).padEnd(8)
  const group = (names.group(stat.gid) ?? String(stat.gid)).padEnd(8)
  const { mtime, mtimeMs } = stat
  const day = `${months[mtime.getMonth()]} ${String(mtime.getDate()).padStart(2)}`
  const recent = nowMs - halfYearMs < mtimeMs && nowMs >= mtimeMs
  const time = recent ? `${two(mtime.getHours())}:${two(mtime.getMinutes())}` : ` ${mtime.getFullYear()}`
  const start = `${modeText(stat.mode)} ${String(stat.nlink).padStart(3)} ${user} ${group} ${String(stat.size).padStart(8)} ${day} ${time} `
  return Buffer.concat([Buffer.from(start), name])
}

const two = (value: number): string => String(value).padStart(2, '0')

const kinds: Readonly<Record<number, string>> = {
  2401: 'p',
  4802: 'c',
  9604: 'd',
  14406: 'b',
  16807: '-',
  21609: 'l',
  26411: 's',
}

/** As strmode(3), with the space for an alternate access method that it leaves. */
function modeText(mode: number): string {
  const bits = (shift: number, special: boolean, letter: string): string => {
    const execute = ((mode >> shift) & 1) !== 0
    const last = special ? (execute ? letter : letter.toUpperCase()) : execute ? 'x' : '-'
    return `${(mode >> shift) & 4 ? 'r' : '-'}${(mode >> shift) & 2 ? 'w' : '-'}${last}`
  }
  return [
    kinds[mode & 0o170000] ?? '?',
    bits(6, (mode & 0o4000) !== 0, 's'),
    bits(3, (mode & 0o2000) !== 0, 's'),
    bits(0, (mode & 0o1000) !== 0, 't'),
    ' ',
  ].join('')
}
