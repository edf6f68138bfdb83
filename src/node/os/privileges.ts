/**
 * Who a program runs as. A root daemon goes through `setpriv`, which sets all user and group ids, the supplementary groups as
 * the machine's name service knows them, drops inherited capabilities and then becomes the program: no helper stays behind.
 * Any other daemon can only serve the account it runs under.
 */

import { accessSync, constants, statSync } from 'node:fs'
import { AccessDenied, SystemError } from '../../errors/errors.ts'
import type { Account } from './account-files.ts'

export interface Privileges {
  readonly isRoot: boolean
  /** Throws AccessDenied when this daemon cannot act as that account. */
  check(account: Account): void
  /** The program file and argv that run `argv` as the account. `name` replaces argv[0] where that is possible. */
  command(account: Account, file: string, argv: readonly (string | Buffer)[]): Command
  /** True when argv[0] can differ from the file's name. */
  readonly canSetName: boolean
}

export interface Command {
  readonly file: string
  readonly argv: readonly (string | Buffer)[]
}

const setprivPaths = ['/usr/bin/setpriv', '/bin/setpriv']

/** Throws SystemError for a root daemon on a machine without `setpriv`. */
export function currentPrivileges(): Privileges {
  const uid = process.getuid?.() ?? -1
  return uid === 0 ? rootPrivileges(findSetpriv()) : ownPrivileges(uid)
}

function rootPrivileges(setpriv: string): Privileges {
  return {
    isRoot: true,
    canSetName: false,
    check() {},
    command: (account, file, argv) => ({
      file: setpriv,
      argv: [
        'setpriv',
        // By name: two names may share a uid, and the groups are the name's.
        `--reuid=${account.name}`,
        `--regid=${account.gid}`,
        '--init-groups',
        '--inh-caps=-all',
        '--',
        file,
        ...argv.slice(1),
      ],
    }),
  }
}

/** Of a daemon that is not root. */
export function ownPrivileges(uid: number): Privileges {
  const check = (account: Account): void => {
    if (account.uid === uid) return
    throw new AccessDenied(
      `this node runs without root as uid ${uid} and serves only that account, not ${account.name}; start it as root to serve others`,
    )
  }
  return {
    isRoot: false,
    canSetName: true,
    check,
    command(account, file, argv) {
      check(account)
      return { file, argv }
    },
  }
}

function findSetpriv(): string {
  for (const path of setprivPaths) {
    try {
      if (statSync(path).isFile()) {
        accessSync(path, constants.X_OK)
        return path
      }
    } catch {}
  }
  throw new SystemError('ENOENT', 'the program setpriv is missing; install the package util-linux')
}
