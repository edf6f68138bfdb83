/** `teleport.user`: the account that the processes of auth and proxy run as, while supervisor and node stay root. */

import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Env } from '../common/env.ts'
import type { Config } from '../config/types.ts'
import { AccessDenied, BadParameter } from '../errors/errors.ts'
import type { Account } from '../node/os/account-files.ts'
import type { WantedAddress } from './ports.ts'
import type { RoleCommand } from './role-process.ts'

/**
 * The account, when there is one to change to: undefined without `teleport.user`, when it is root, and when we are that account
 * already. Throws BadParameter when the machine knows no such account.
 */
export async function serviceAccount({ user }: Pick<Config, 'user'>, env: Env): Promise<Account | undefined> {
  if (user === undefined) return undefined
  const { openAccounts } = await import('../node/os/accounts.ts')
  const account = await openAccounts(env).find(user)
  if (account === undefined) {
    const remedy = `make it (useradd --system --shell /usr/sbin/nologin ${user}) or name another one`
    throw new BadParameter('teleport.user', `teleport.user: this machine has no account ${user}; ${remedy}`)
  }
  return account.uid === 0 || account.uid === process.geteuid?.() ? undefined : account
}

/** Throws BadParameter for a supervisor that is not root, and for ports that the account may not open. */
export function checkServiceAccount(account: Account, addresses: readonly WantedAddress[]): void {
  const uid = process.geteuid?.()
  if (uid !== 0) {
    throw new BadParameter(
      'teleport.user',
      `teleport.user is ${account.name}, but this runs as user id ${uid}: start it as root or as ${account.name}, or remove the key`,
    )
  }
  const first = firstFreePort()
  for (const { key, port } of addresses) {
    if (port === 0 || port >= first) continue
    throw new BadParameter(
      key,
      `${key}: only root may listen on port ${port}, and teleport.user is ${account.name}; use a port from ${first} on, or: sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`,
    )
  }
}

/** Below it, only root may listen. */
function firstFreePort(): number {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').trim()
    return /^\d+$/.test(text) ? Number(text) : 1024
  } catch {
    return 1024
  }
}

/** Throws AccessDenied when the account cannot open a file or directory, naming what is `needed`. */
export async function checkReadable(account: Account, path: string, needed: string): Promise<void> {
  const [{ asUser }, { currentPrivileges }] = await Promise.all([
    import('../node/os/as-user.ts'),
    import('../node/os/privileges.ts'),
  ])
  try {
    asUser(account, currentPrivileges(), () => closeSync(openSync(path, 'r')))
  } catch (error) {
    throw new AccessDenied(`the account ${account.name} (teleport.user) cannot open ${path}; ${needed}`, {
      cause: error,
    })
  }
}

/**
 * Makes commands run under the account: `setpriv` sets all ids and groups and becomes the program, so its process id is the role's.
 * Throws AccessDenied when the account cannot read one of the files of the program, which is common below /root.
 */
export async function commandsAs(
  account: Account,
  program: readonly string[],
): Promise<(command: RoleCommand) => RoleCommand> {
  const { currentPrivileges } = await import('../node/os/privileges.ts')
  const privileges = currentPrivileges()
  for (const path of program) await checkReadable(account, path, 'install teleport where every account can read it')
  return (command) => {
    const { file, argv } = privileges.command(account, command.file, [command.file, ...command.args])
    const { XDG_CACHE_HOME: _1, XDG_CONFIG_HOME: _2, XDG_RUNTIME_DIR: _3, ...env } = command.env
    return {
      file,
      args: argv.slice(1).map(String),
      env: { ...env, HOME: account.home, USER: account.name, LOGNAME: account.name },
    }
  }
}
