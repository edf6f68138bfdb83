/**
 * `create_host_user`: makes the OS account of a login that the roles allow and the machine lacks. Nothing is changed that is there
 * already: an existing account keeps its shell, groups and password, and a home directory that somebody made before is not taken over.
 * What is made is kept, in a group by which it is known.
 */

import { execFile } from 'node:child_process'
import { accessSync, constants, lstatSync } from 'node:fs'
import { promisify } from 'node:util'
import { isLogin } from '../../common/names.ts'
import { quote } from '../../common/text.ts'
import { AccessDenied } from '../../errors/errors.ts'
import { errnoOf, messageOf } from '../../errors/system.ts'
import type { Privileges } from './privileges.ts'

const run = promisify(execFile)
/** Of every account made here. */
const createdGroup = 'teleport-created'
/** Milliseconds. The tools wait for the lock of /etc/passwd. */
const toolTimeoutMs = 20_000
const sbin = ['/usr/sbin', '/sbin']

export interface HostUsers {
  /**
   * Resolves when the account is there. `user` is the Teleport user, for the account's comment. Rejects with AccessDenied that says what
   * is in the way, for the person.
   */
  make(login: string, user: string): Promise<void>
  /**
   * While an account of that name is being made: resolves when that has ended, however. The system lists it before it has its home and its
   * groups, and a session that began in between would be without them.
   */
  underWay(login: string): Promise<void> | undefined
}

export function openHostUsers(options: {
  readonly privileges: Pick<Privileges, 'isRoot'>
  /** Told before the account counts as made, and of what failed. */
  audit(outcome: { readonly login: string; readonly user: string; readonly error?: string }): Promise<void>
}): HostUsers {
  const running = new Map<string, Promise<void>>()
  const make = async (login: string, user: string): Promise<void> => {
    try {
      await makeAccount(login, user, options.privileges.isRoot)
    } catch (error) {
      const reason = messageOf(error)
      await options.audit({ login, user, error: reason })
      throw new AccessDenied(`there is no account ${quote(login)} on this node, and none can be made: ${reason}`, {
        cause: error,
      })
    }
    await options.audit({ login, user })
  }
  return {
    make(login, user) {
      // Two connections of one login at the same time make one account.
      const started = running.get(login) ?? make(login, user).finally(() => running.delete(login))
      running.set(login, started)
      return started
    },
    underWay: (login) => running.get(login)?.catch(() => {}),
  }
}

async function makeAccount(login: string, user: string, isRoot: boolean): Promise<void> {
  if (!isLogin(login)) throw new Error('the name cannot be one of an account')
  if (!isRoot) throw new Error('the node does not run as root')
  const useradd = tool('useradd')
  const home = `/home/${login}`
  // Whoever could put something there must not be given an account with it, nor have it changed by root.
  if (exists(home)) throw new Error(`${home} is there already; an administrator has to say whose it is`)
  await command(tool('groupadd'), ['--force', '--system', createdGroup])
  // No password: nobody logs in with one. The comment has no colon or line feed, since names of users have none.
  const comment = `made by Teleport for ${user}`
  await command(useradd, [
    '--create-home',
    ...['--home-dir', home, '--shell', shell(), '--groups', createdGroup, '--comment', comment],
    '--',
    login,
  ])
}

function tool(name: string): string {
  const path = sbin.map((directory) => `${directory}/${name}`).find(isExecutable)
  if (path === undefined) throw new Error(`${name} is not installed on the node`)
  return path
}

const shell = (): string => ['/bin/bash', '/usr/bin/bash'].find(isExecutable) ?? '/bin/sh'

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Also a link that leads nowhere. */
function exists(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch (error) {
    return errnoOf(error) !== 'ENOENT'
  }
}

async function command(file: string, args: readonly string[]): Promise<void> {
  try {
    await run(file, args, { timeout: toolTimeoutMs, maxBuffer: 65_536, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
  } catch (error) {
    const stderr = (error as { stderr?: unknown }).stderr
    const words = typeof stderr === 'string' && stderr.trim() !== '' ? stderr.trim().split('\n')[0] : messageOf(error)
    throw new Error(String(words).slice(0, 300), { cause: error })
  }
}
