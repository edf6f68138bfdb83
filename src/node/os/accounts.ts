/**
 * The account database of the machine: local files read directly and cached by their stat, so that a login costs a few
 * system calls; other sources (LDAP, SSSD) through `getent`, which asks the machine's own name service.
 */

import { execFile } from 'node:child_process'
import { constants, readFileSync, statSync } from 'node:fs'
import { promisify } from 'node:util'
import type { Env } from '../../common/env.ts'
import { errnoOf } from '../../errors/system.ts'
import {
  type Account,
  hasOtherSources,
  parseGroups,
  parsePasswd,
  parsePasswdLine,
  parseShadow,
  type ShadowEntry,
} from './account-files.ts'
import { type AccountVerdict, judgeAccount, type ShellState } from './account-rules.ts'
import { isLoginName } from './login-name.ts'

const run = promisify(execFile)
/** A misbehaving directory service must not hold a login for longer than this. */
const lookupTimeoutMs = 5000
const rememberMs = 10_000
const maxRemembered = 1000

export interface Accounts {
  /** The account of that name; undefined when there is none, or when the name cannot be one. */
  find(name: string): Promise<Account | undefined>
  /** Whether the account may be used now. Reads the files again when they changed. */
  judge(account: Account): AccountVerdict
  /** Gid of a group of the local files. */
  groupId(name: string): number | undefined
}

export interface AccountPaths {
  readonly passwd: string
  readonly group: string
  readonly shadow: string
  readonly nsswitch: string
  readonly nologin: string
}

const systemPaths: AccountPaths = {
  passwd: '/etc/passwd',
  group: '/etc/group',
  shadow: '/etc/shadow',
  nsswitch: '/etc/nsswitch.conf',
  nologin: '/etc/nologin',
}

/** `paths` is for tests; the name service below `getent` knows only the system's own files. */
export function openAccounts(env: Env, paths: AccountPaths = systemPaths): Accounts {
  const passwd = cachedFile(paths.passwd, parsePasswd)
  const groups = cachedFile(paths.group, parseGroups)
  const shadow = cachedFile(paths.shadow, parseShadow)
  const others = cachedFile(paths.nsswitch, hasOtherSources)
  const remembered = new Map<string, { readonly at: number; readonly answer: Promise<Account | undefined> }>()

  const ask = (name: string): Promise<Account | undefined> => {
    const now = env.monotonicMs()
    const known = remembered.get(name)
    if (known !== undefined && now - known.at < rememberMs) return known.answer
    if (remembered.size >= maxRemembered) remembered.clear()
    const answer = getent(name)
    remembered.set(name, { at: now, answer })
    return answer
  }

  return {
    async find(name) {
      if (!isLoginName(name)) return undefined
      const local = passwd()?.get(name)
      if (local !== undefined) return local
      return others() === true ? ask(name) : undefined
    },
    judge(account) {
      const entry: ShadowEntry | undefined = shadow()?.get(account.name)
      return judgeAccount({
        account,
        shadow: entry,
        shell: shellState(account.shell),
        nologin: readNologin(paths.nologin),
        now: env.now(),
      })
    },
    groupId: (name) => groups()?.get(name),
  }
}

/** `name` has passed `isLoginName`, so it can be neither an option nor a number. */
async function getent(name: string): Promise<Account | undefined> {
  try {
    const { stdout } = await run('getent', ['passwd', name], {
      timeout: lookupTimeoutMs,
      maxBuffer: 65_536,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    })
    const account = parsePasswdLine(stdout.split('\n')[0] ?? '')
    // A case-insensitive directory may answer with another spelling; two spellings of one login would confuse the rules.
    return account?.name === name ? account : undefined
  } catch {
    return undefined
  }
}

/** A reader that parses a file again only when its inode, size or time changed. Undefined when it cannot be read. */
function cachedFile<T>(path: string, parse: (text: string) => T): () => T | undefined {
  let stamp = ''
  let value: T | undefined
  return () => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
      const now = `${dev}.${ino}.${size}.${mtimeNs}.${ctimeNs}`
      if (now !== stamp) {
        value = parse(readFileSync(path, 'utf8'))
        stamp = now
      }
    } catch {
      stamp = ''
      value = undefined
    }
    return value
  }
}

function shellState(path: string): ShellState {
  try {
    const stat = statSync(path)
    const executable = constants.S_IXUSR | constants.S_IXGRP | constants.S_IXOTH
    return stat.isFile() && (stat.mode & executable) !== 0 ? 'ok' : 'not-executable'
  } catch (error) {
    return errnoOf(error) === 'EACCES' ? 'not-executable' : 'missing'
  }
}

function readNologin(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').slice(0, 4096)
  } catch (error) {
    // There but unreadable still means: nobody logs in.
    return errnoOf(error) === 'ENOENT' ? undefined : ''
  }
}
