/**
 * Does something small in this process with the rights of a user: opening a socket, reading or removing a file. Linux keeps
 * user ids for each thread, and the raw system calls change only the calling one. Nothing asynchronous happens in between, so
 * no other work of the daemon ever runs with the changed rights.
 *
 * Only the *effective* ids change. The real and saved user ids stay root's, so the user gets no right to signal or trace the
 * daemon; with the effective id the kernel takes the capabilities away, decides about paths, and tells servers who connects.
 */

import { SystemError } from '../../errors/errors.ts'
import type { Account } from './account-files.ts'
import { type Libc, libc } from './libc.ts'
import type { Privileges } from './privileges.ts'

interface SystemCalls {
  readonly setgroups: bigint
  readonly setresuid: bigint
  readonly setresgid: bigint
}

const systemCalls: Readonly<Record<string, SystemCalls>> = {
  x64: { setgroups: 116n, setresuid: 117n, setresgid: 119n },
  arm64: { setgroups: 159n, setresuid: 147n, setresgid: 149n },
}

const keep = -1n
const maxGroups = 65_536

/**
 * Runs `action`, which must not be async, as the account. Throws AccessDenied when the daemon may not act as it. If the daemon's
 * rights could not be restored the process ends: it would serve others with the wrong ones.
 */
export function asUser<T>(account: Account, privileges: Privileges, action: () => T): T {
  privileges.check(account)
  if (!privileges.isRoot || account.uid === 0) return action()
  const calls = systemCalls[process.arch]
  if (calls === undefined) throw new SystemError('ENOSYS', `acting as a user is not possible on ${process.arch}`)
  const c = libc()
  const groups = groupsOf(c, account)
  const ownIds = process.getgroups?.() ?? []
  const own = packGroups(ownIds)
  try {
    demand(c, c.syscallWithMemory(calls.setgroups, BigInt(groups.length / 4), groups, 0n))
    demand(c, c.functions.syscall(calls.setresgid, keep, BigInt(account.gid), keep))
    demand(c, c.functions.syscall(calls.setresuid, keep, BigInt(account.uid), keep))
    return action()
  } finally {
    const restored =
      c.functions.syscall(calls.setresuid, keep, 0n, keep) === 0n &&
      c.functions.syscall(calls.setresgid, keep, 0n, keep) === 0n &&
      c.syscallWithMemory(calls.setgroups, BigInt(ownIds.length), own, 0n) === 0n
    if (!restored) process.abort()
  }
}

function demand(c: Libc, result: bigint): void {
  if (result !== 0n) throw new SystemError('EPERM', `cannot take the rights of a user (errno ${c.errno()})`)
}

/** All groups of the account, as the name service of the machine knows them. */
function groupsOf({ functions }: Libc, account: Account): Buffer {
  const count = Buffer.alloc(4)
  for (let room = 64; room <= maxGroups; room *= 4) {
    const list = Buffer.alloc(4 * room)
    count.writeInt32LE(room)
    if (functions.getgrouplist(account.name, account.gid, list, count) >= 0) {
      return Buffer.from(list.subarray(0, 4 * count.readInt32LE()))
    }
  }
  throw new SystemError('EINVAL', `the account ${account.name} is in too many groups`)
}

function packGroups(ids: readonly number[]): Buffer {
  // At least one word: an empty buffer has no address.
  const packed = Buffer.alloc(4 * Math.max(1, ids.length))
  ids.forEach((id, index) => {
    packed.writeUInt32LE(id, 4 * index)
  })
  return packed
}
