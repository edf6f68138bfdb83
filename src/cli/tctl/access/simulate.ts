/** `tctl access simulate ROLE.yaml`: what would change if the roles of the file were in force. Nothing is changed. */

import { parseRole } from '../../../access/schema.ts'
import { type Access, type ChangedLogin, type Simulation, simulate } from '../../../access/simulate.ts'
import type { Role } from '../../../access/types.ts'
import { listUsers } from '../../../api/routes.ts'
import { formatTable, quote } from '../../../common/text.ts'
import { readYaml } from '../../../common/yaml.ts'
import { BadParameter, NotFound } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { whenOf } from '../../common/when.ts'
import { withAdminApi } from '../connect.ts'
import { allPages } from '../pages.ts'
import { readResourceText } from '../resources/documents.ts'
import { allNodes, allRoles } from './cluster.ts'
import { pastLogins } from './past-logins.ts'

/** Rows of one table for people; `--format=json` has them all. */
const SHOWN = 50

export const simulateRoles: CommandRun = async ({ options, args }) => {
  const proposed = await readRoles(args[0] ?? '')
  const from = whenOf(options.string('from') ?? '30d', '--from', new Date()) ?? ''
  const given = options
    .list('user')
    .flatMap((names) => names.split(','))
    .filter((name) => name !== '')
  return await withAdminApi(options, async (api) => {
    const before = await allRoles(api)
    const after = new Map([...before, ...proposed.map((role) => [role.metadata.name, role] as const)])
    const now = await allPages((page) => api.call(listUsers, { query: { limit: 1000, ...page } }))
    for (const name of given) {
      if (!now.some((user) => user.name === name))
        throw new NotFound(`there is no user ${quote(name)}; tctl users ls lists them`)
    }
    const names = proposed.map(({ metadata }) => metadata.name)
    const users = now.map((user) =>
      given.includes(user.name) ? { ...user, roles: [...new Set([...user.roles, ...names])] } : user,
    )
    const rolesNow = new Map(now.map((user) => [user.name, user.roles]))
    const nodes = await allNodes(api)
    const result = simulate({ before, after, users, rolesNow, nodes, past: await pastLogins(api, from) })
    const holders = users.filter(({ roles }) => names.some((name) => roles.includes(name))).map(({ name }) => name)
    const about = { roles: names, users: holders, nodes: nodes.length, from }
    await print(options.string('format'), { ...about, ...result }, () => describe(about, result))
    return 0
  })
}

async function readRoles(file: string): Promise<readonly Role[]> {
  const documents = readYaml(await readResourceText(file), file)
  const roles = documents.map((document) => parseRole(document))
  if (roles.length === 0) throw new BadParameter(file, `${file}: there is no role in it`)
  return roles
}

interface About {
  readonly roles: readonly string[]
  readonly users: readonly string[]
  readonly nodes: number
  readonly from: string
}

function describe({ roles, users, nodes, from }: About, result: Simulation): string {
  const who =
    users.length === 0
      ? 'no user has it; add one with --user=NAME to see what it would give'
      : `${users.length} users have it`
  const lines = [
    `Role ${roles.join(', ')}: ${who}. ${nodes} nodes, ${result.judged} logins since ${from}.`,
    section('would gain', result.gained, accessTable),
    section('would lose', result.lost, accessTable),
    section('sessions that took place would have been refused', result.refused, loginTable),
    section('logins that were refused would have been allowed', result.allowed, loginTable),
  ]
  if (result.unknown > 0)
    lines.push(`${result.unknown} logins are of users or nodes that are gone, and were not judged.\n`)
  return lines.join('\n')
}

function section<T>(what: string, items: readonly T[], table: (items: readonly T[]) => string): string {
  if (items.length === 0) return `0 ${what}`
  const more = items.length > SHOWN ? `and ${items.length - SHOWN} more; --format=json has them all\n` : ''
  return `${items.length} ${what}\n${table(items.slice(0, SHOWN))}${more}`
}

const accessTable = (items: readonly Access[]): string =>
  formatTable(
    ['User', 'Login', 'Node', 'Reason'],
    items.map(({ user, login, node, reason }) => [user, login, node, reason]),
  )

const loginTable = (items: readonly ChangedLogin[]): string =>
  formatTable(
    ['Time', 'User', 'Login', 'Node', 'Reason'],
    items.map(({ time, user, login, node, reason }) => [time, user, login, node, reason]),
  )
