/**
 * Names that a server lists. One of them becomes a path on this side, so it must name a thing inside its directory and nothing
 * else: a server that answers `../../.ssh/rc` was CVE-2019-6111.
 */

import { quote } from '../../common/text.ts'

/** What is wrong with it, or undefined. NAME_MAX is 255; some file systems have longer ones. */
export function nameProblem(name: Buffer): string | undefined {
  const text = name.toString('utf8')
  if (name.length === 0) return 'an empty name'
  if (text === '.' || text === '..' || name.includes(0x2f)) return `${quote(text)} is a path, not a name`
  if (name.length > 1024) return `${quote(text)} is too long for a name`
  if (name.some((byte) => byte < 0x20 || byte === 0x7f)) return `${quote(text)} has control characters`
  return undefined
}
