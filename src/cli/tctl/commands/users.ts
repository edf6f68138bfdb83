/** `tctl users …` */

import type { UserRecord } from '../../../api/model.ts'
import { createUser, deleteUser, getUser, listUsers, putUser, resetUser, setPassword } from '../../../api/routes.ts'
import { describeDuration } from '../../../common/durations.ts'
import { checkName, isLogin } from '../../../common/names.ts'
import { formatTable } from '../../../common/text.ts'
import { BadParameter, MissingParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import { ask } from '../../common/prompt.ts'
import type { CommandRun } from '../../common/spec.ts'
import { listOf, secondsOf } from '../arguments.ts'
import { withAdminApi } from '../connect.ts'
import { allPages } from '../pages.ts'

/** Seconds. */
const inviteTtl = 3600
const resetTtl = 8 * 3600

const logins = (text: string, param: string) => listOf(text, param).map((login) => checkName('login', login))
const roles = (text: string, param: string) => listOf(text, param).map((role) => checkName('role name', role))

/** `1h`, `30m`, `1h30m`: as the original writes the lifetime of a link. */
function shortDuration(seconds: number): string {
  if (seconds % 3600 === 0) return `${seconds / 3600}h`
  if (seconds < 3600 && seconds % 60 === 0) return `${seconds / 60}m`
  return describeDuration(seconds * 1000)
}

function linkText(what: string, url: string, seconds: number): string {
  const { host } = new URL(url)
  return `${what}, link is valid for ${shortDuration(seconds)}:\n${printable(url)}\n\nNOTE: Make sure ${host} points at a Teleport proxy which users can access.\n`
}

export const add: CommandRun = async ({ options, args }) => {
  const name = checkName('user name', args[0] ?? '')
  if (args[1] !== undefined && options.string('logins') !== undefined) {
    throw new BadParameter('--logins', 'name the logins once: as an argument, or with --logins')
  }
  const given = args[1] ?? options.string('logins')
  const names = given === undefined ? (isLogin(name) ? [name] : []) : logins(given, '--logins')
  const roleNames = roles(options.string('roles') ?? 'access', '--roles')
  const seconds = secondsOf(options.string('ttl'), '--ttl') ?? inviteTtl
  return await withAdminApi(options, async (api) => {
    const created = await api.call(createUser, {
      body: { name, roles: roleNames, traits: { logins: names }, inviteTtlSeconds: seconds },
    })
    await print(options.string('format'), created, () =>
      linkText(
        `User "${printable(name)}" has been created but requires a password. Share this URL with the user to complete user setup`,
        created.invite?.url ?? '',
        seconds,
      ),
    )
    return 0
  })
}

export const ls: CommandRun = ({ options }) =>
  withAdminApi(options, async (api) => {
    const all = await allPages<UserRecord>((after) => api.call(listUsers, { query: after }))
    all.sort((a, b) => a.name.localeCompare(b.name))
    await print(options.string('format'), all, () =>
      formatTable(
        ['User', 'Roles'],
        all.map((user) => [user.name, user.roles.join(',')]),
      ),
    )
    return 0
  })

export const update: CommandRun = async ({ options, args }) => {
  const name = checkName('user name', args[0] ?? '')
  const setRoles = options.string('setRoles')
  const setLogins = options.string('setLogins')
  if (setRoles === undefined && setLogins === undefined) {
    throw new MissingParameter('--set-roles', 'nothing to change: give --set-roles or --set-logins')
  }
  const newRoles = setRoles === undefined ? undefined : roles(setRoles, '--set-roles')
  const newLogins = setLogins === undefined ? undefined : logins(setLogins, '--set-logins')
  return await withAdminApi(options, async (api) => {
    const user = await api.call(getUser, { params: { name } })
    await api.call(putUser, {
      params: { name },
      body: {
        roles: newRoles ?? user.roles,
        traits: newLogins === undefined ? user.traits : { ...user.traits, logins: newLogins },
        ...(user.revision === undefined ? {} : { revision: user.revision }),
      },
    })
    process.stdout.write(`User ${printable(name)} has been updated:\n`)
    if (newRoles !== undefined) process.stdout.write(`\tNew roles: ${newRoles.join(',')}\n`)
    if (newLogins !== undefined) process.stdout.write(`\tNew logins: ${newLogins.join(',')}\n`)
    return 0
  })
}

export const reset: CommandRun = async ({ options, args }) => {
  const name = checkName('user name', args[0] ?? '')
  const seconds = secondsOf(options.string('ttl'), '--ttl') ?? resetTtl
  return await withAdminApi(options, async (api) => {
    const link = await api.call(resetUser, { params: { name }, body: { ttlSeconds: seconds } })
    await print(options.string('format'), link, () =>
      linkText(
        `User "${printable(name)}" has been reset. Share this URL with the user to complete password reset`,
        link.url,
        seconds,
      ),
    )
    return 0
  })
}

export const rm: CommandRun = async ({ options, args }) => {
  const names = listOf(args[0] ?? '', 'names').map((name) => checkName('user name', name))
  return await withAdminApi(options, async (api) => {
    for (const name of names) {
      await api.call(deleteUser, { params: { name } })
      process.stdout.write(`User "${printable(name)}" has been deleted\n`)
    }
    return 0
  })
}

export const setUserPassword: CommandRun = async ({ options, args }) => {
  const name = checkName('user name', args[0] ?? '')
  const password = await ask(`New password for ${name}:\n`, { hidden: true })
  if (process.stdin.isTTY && (await ask('The same password again:\n', { hidden: true })) !== password) {
    throw new BadParameter('password', 'the two passwords differ; nothing was changed')
  }
  return await withAdminApi(options, async (api) => {
    await api.call(setPassword, { params: { name }, body: { password } })
    process.stdout.write(`The password of user "${printable(name)}" has been set\n`)
    return 0
  })
}

export const oldSetPass: CommandRun = async ({ options }) => {
  const name = checkName('user name', options.string('user') ?? '')
  const password = options.string('pass')
  if (password === undefined)
    throw new MissingParameter('-pass', '-pass is required; better: tctl users set-password NAME')
  process.stderr.write(
    'WARNING: the password was visible to every user of this machine in the list of processes; use: tctl users set-password NAME\n',
  )
  return await withAdminApi(options, async (api) => {
    await api.call(setPassword, { params: { name }, body: { password } })
    process.stdout.write(`The password of user "${printable(name)}" has been set\n`)
    return 0
  })
}
