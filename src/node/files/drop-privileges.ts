/**
 * A process that root started becomes a user, for good: before it reads a byte of what the user sends, so that from then on the
 * kernel decides about every file. It is the process itself that changes, and not `setpriv` that becomes it, because the user need
 * not be able to read this program; and since its ids changed after it was executed, the kernel lets the user not trace it.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { SystemError } from '../../errors/errors.ts'

export interface Identity {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** Throws SystemError unless every thread has exactly the account's ids and groups and cannot go back. */
export function dropPrivileges({ name, uid, gid }: Identity): void {
  if (process.getuid?.() !== 0) {
    // A daemon without root serves only its own account.
    if (process.getuid?.() !== uid) throw problem(`it runs as uid ${process.getuid?.()} and not as ${uid}`)
    return
  }
  // By name: two names may share a uid, and the groups are the name's.
  ;(process as typeof process & { initgroups(user: string, group: number): void }).initgroups(name, gid)
  process.setgid?.(gid)
  process.setuid?.(uid)
  verify(uid, gid)
}

function verify(uid: number, gid: number): void {
  const groups = sorted(process.getgroups?.() ?? [])
  for (const thread of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'latin1')
    const numbers = (field: string): number[] => {
      const line = new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim()
      if (line === undefined) throw problem(`/proc does not tell the ${field} of thread ${thread}`)
      return line === '' ? [] : line.split(/\s+/).map(Number)
    }
    if (numbers('Uid').some((id) => id !== uid) || numbers('Gid').some((id) => id !== gid)) {
      throw problem(`thread ${thread} kept other ids`)
    }
    if (sorted(numbers('Groups')) !== groups) throw problem(`thread ${thread} kept other groups`)
    if (uid !== 0 && !/^CapPrm:\s*0+$/m.test(status)) throw problem(`thread ${thread} kept capabilities`)
  }
  if (uid === 0) return
  const ways = [() => process.setuid?.(0), () => process.seteuid?.(0), () => process.setgroups?.([0])]
  for (const goBack of ways) {
    if (succeeds(goBack)) throw problem('the way back to root is open')
  }
}

function succeeds(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}

const sorted = (ids: readonly number[]): string => [...new Set(ids)].sort((a, b) => a - b).join(' ')

const problem = (text: string): SystemError => new SystemError('EPERM', `cannot become the user: ${text}`)
