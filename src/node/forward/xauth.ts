/** Entries in a user's `~/.Xauthority`, by the system's `xauth`, run as the user. What it is to do comes on its input: arguments are seen by everybody. */

import { accessSync, constants } from 'node:fs'
import type { Env } from '../../common/env.ts'
import { withDeadline } from '../../common/timeout.ts'
import { NotFound, SystemError } from '../../errors/errors.ts'
import { startDirectory } from '../os/home.ts'
import { startProcess } from '../os/user-process.ts'
import type { UserSockets } from '../os/user-socket.ts'

const places = ['/usr/bin/xauth', '/usr/local/bin/xauth', '/bin/xauth', '/usr/X11R6/bin/xauth']
/**
 * A file that another `xauth` holds locked is waited for. Milliseconds. One of ours that is hung up then takes its own lock along and
 * leaves another's; the lock of one that was killed outright is broken by the next `xauth` after ten minutes (XauLockAuth's `dead`).
 */
const timeoutMs = 5000
/** Characters of its complaint that are passed on. */
const maxComplaint = 300

/** The cookie of one display. */
export interface XauthEntry {
  /** `unix:10.0`. */
  readonly name: string
  readonly protocol: string
  /** Hexadecimal. */
  readonly cookie: string
}

export interface XauthUser {
  readonly owner: UserSockets
  /** Of the session: HOME and XAUTHORITY say which file it is. */
  readonly env: Readonly<Record<string, string>>
  readonly clock: Env
}

/** Replaces what the file has for the display. Throws NotFound without `xauth`, SystemError with its complaint, ConnectionProblem when it takes too long. */
export const addXauth = (user: XauthUser, { name, protocol, cookie }: XauthEntry): Promise<void> =>
  runXauth(user, `remove ${name}\nadd ${name} ${protocol} ${cookie}\n`)

/** Throws as `addXauth`. */
export const removeXauth = (user: XauthUser, name: string): Promise<void> => runXauth(user, `remove ${name}\n`)

/** The last call for each account: two at once would wait for each other's lock by sleeping whole seconds. */
const turns = new Map<string, Promise<void>>()

async function runXauth(user: XauthUser, input: string): Promise<void> {
  const { name } = user.owner.account
  const before = turns.get(name)
  const mine = (before ?? Promise.resolve()).then(() => runNow(user, input))
  const settled = mine.catch(() => {})
  turns.set(name, settled)
  void settled.then(() => {
    if (turns.get(name) === settled) turns.delete(name)
  })
  await mine
}

async function runNow({ owner, env, clock }: XauthUser, input: string): Promise<void> {
  const file = places.find(isExecutable)
  if (file === undefined) throw new NotFound('this node has no xauth; install the package xauth')
  const child = startProcess({
    account: owner.account,
    program: { kind: 'file', file, args: ['-q', '-'] },
    env,
    directory: await startDirectory(owner.account, clock),
    pty: undefined,
    ttyGid: undefined,
    privileges: owner.privileges,
    clock,
  })
  let complaint = ''
  const listen = (chunk: Buffer): void => {
    if (complaint.length < maxComplaint) complaint += chunk.toString('utf8').slice(0, maxComplaint)
  }
  child.stdout.on('error', () => {}).on('data', listen)
  child.stderr?.on('error', () => {}).on('data', listen)
  child.stdin.end(input)
  try {
    const result = await withDeadline(() => child.exited, timeoutMs, 'xauth', clock)
    if (result.kind === 'exit' && result.status === 0) return
    const words = complaint.replaceAll(/[^ -~]+/g, ' ').trim()
    throw new SystemError('EIO', `xauth failed${words === '' ? '' : `: ${words}`}`)
  } finally {
    child.hangup()
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
