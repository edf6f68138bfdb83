/** `tctl tokens …` and `tctl nodes add` */

import type { JoinToken, ServerRole } from '../../../api/model.ts'
import { createToken, deleteToken, listTokens } from '../../../api/routes.ts'
import { describeDuration, formatDuration } from '../../../common/durations.ts'
import { formatTable } from '../../../common/text.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { shortTime } from '../../common/time.ts'
import { labelsOf, rolesOf, secondsOf } from '../arguments.ts'
import { withAdminApi } from '../connect.ts'

export const nodesAdd: CommandRun = ({ options }) =>
  addToken(options, rolesOf(options.string('roles') ?? 'node', '--roles'), options.string('token'), '--token')

export const tokensAdd: CommandRun = ({ options }) =>
  addToken(options, rolesOf(options.list('type').join(',') || 'node', '--type'), options.string('value'), '--value')

async function addToken(
  options: OptionValues,
  roles: ServerRole[],
  value: string | undefined,
  param: string,
): Promise<number> {
  if (value !== undefined && !/^[\x21-\x7e]{16,256}$/.test(value)) {
    throw new BadParameter(param, `${param}: a token has 16 to 256 printable characters without spaces`)
  }
  const ttlSeconds = secondsOf(options.string('ttl'), '--ttl')
  const labels = labelsOf(options.string('labels'), '--labels')
  return await withAdminApi(options, async (api) => {
    const created = await api.call(createToken, {
      body: {
        roles,
        labels,
        ...(value === undefined ? {} : { value }),
        ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
      },
    })
    if (options.flag('quiet')) process.stdout.write(`${created.token.token}\n`)
    else await print(options.string('format'), created, () => instructions(created, new Date()))
    return 0
  })
}

interface Created {
  readonly token: JoinToken
  readonly caPins: readonly string[]
  readonly authServers: readonly string[]
}

function instructions({ token, caPins, authServers }: Created, now: Date): string {
  const lifetime =
    token.expires === undefined ? undefined : describeDuration(Math.max(0, Date.parse(token.expires) - now.getTime()))
  const server = authServers[0] ?? 'AUTH_SERVER:3025'
  const flags = [
    `--roles=${token.roles.join(',')}`,
    `--token=${token.token}`,
    ...caPins.map((pin) => `--ca-pin=${pin}`),
    `--auth-server=${server}`,
  ]
  return [
    `The invite token: ${printable(token.token)}`,
    lifetime === undefined ? 'This token never expires' : `This token will expire in ${lifetime}`,
    '',
    'Run this on the new node to join the cluster:',
    '',
    `> teleport start \\`,
    flags.map((flag) => `   ${printable(flag)}`).join(' \\\n'),
    '',
    'Please note:',
    '',
    lifetime === undefined
      ? '  - This invitation token never expires'
      : `  - This invitation token will expire in ${lifetime}`,
    `  - ${printable(server)} must be reachable from the new node`,
    '',
  ].join('\n')
}

const typeNames: Readonly<Record<ServerRole, string>> = { auth: 'Auth', proxy: 'Proxy', node: 'Node' }

function expiryText(expires: string | undefined, now: Date): string {
  if (expires === undefined) return 'never'
  const date = new Date(expires)
  const left = Math.max(0, Math.round((date.getTime() - now.getTime()) / 1000) * 1000)
  return `${shortTime(date)} (${formatDuration(left)})`
}

export const tokensLs: CommandRun = ({ options }) =>
  withAdminApi(options, async (api) => {
    const listed = await api.call(listTokens)
    await print(options.string('format'), listed, () => {
      const now = new Date()
      const rows = [
        ...listed.tokens.map((token) => [
          token.token,
          token.roles.map((role) => typeNames[role]).join(','),
          Object.entries(token.labels)
            .map(([name, value]) => `${name}=${value}`)
            .join(','),
          expiryText(token.expires, now),
        ]),
        ...listed.invites.map((invite) => [invite.token, 'Password', '', expiryText(invite.expires, now)]),
      ]
      return rows.length === 0
        ? 'No active tokens found.\n'
        : formatTable(['Token', 'Type', 'Labels', 'Expiry Time (UTC)'], rows)
    })
    return 0
  })

export const tokensRm: CommandRun = ({ options, args }) =>
  withAdminApi(options, async (api) => {
    const name = args[0] ?? ''
    await api.call(deleteToken, { params: { name } })
    process.stdout.write('Token has been deleted\n')
    return 0
  })
