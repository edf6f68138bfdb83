/** `tctl auth rotate` */

import type { CallInput } from '../../../api/client.ts'
import { rotateAuthorities } from '../../../api/routes.ts'
import { parseDuration } from '../../../common/durations.ts'
import { formatPairs } from '../../../common/text.ts'
import { BadParameter } from '../../../errors/errors.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'
import { authorityText, waitingRows } from '../rotation-text.ts'

type Request = CallInput<typeof rotateAuthorities>['body']
type Phase = NonNullable<Request['phase']>

function gracePeriodOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Math.ceil(parseDuration(text, { name: '--grace-period' }) / 1000)
}

/** The choices were checked by the parser. */
function requestOf(options: OptionValues): Request {
  const manual = options.flag('manual')
  const phase = options.string('phase') as Phase | undefined
  const type = options.string('type') as Request['type']
  const gracePeriodSeconds = gracePeriodOf(options.string('gracePeriod'))
  if (phase !== undefined && !manual) {
    throw new BadParameter('--phase', `--phase: a phase is chosen by hand: --manual --phase=${phase}`)
  }
  if (manual && gracePeriodSeconds !== undefined) {
    throw new BadParameter(
      '--grace-period',
      '--grace-period is for the automatic mode; with --manual a phase lasts until the next one is asked for',
    )
  }
  return {
    mode: manual ? 'manual' : 'auto',
    force: options.flag('force'),
    ...(phase === undefined ? {} : { phase }),
    ...(type === undefined ? {} : { type }),
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
  }
}

/** What somebody has to do before they go on. */
function hintFor({ phase = 'init', type, gracePeriodSeconds }: Request): string | undefined {
  if (gracePeriodSeconds === 0) {
    return 'The old authorities are not trusted any more: users log in again, machines join again with a token.'
  }
  const hints = hintsOf[phase]
  if (hints === undefined) return undefined
  const said = type === 'user' || type === 'host' ? [hints[type]] : [hints.user, hints.host]
  if (phase === 'rollback') said.push('End it with: tctl auth rotate --manual --phase=standby')
  return said.filter((hint) => hint !== '').join(' ') || undefined
}

/** By whose keys change. */
const hintsOf: Partial<Record<Phase, { readonly user: string; readonly host: string }>> = {
  init: {
    user: 'OpenSSH servers need the new user authority before update_clients: tctl auth export --type=user.',
    host: 'Users get the new host authority with: tsh login.',
  },
  update_clients: {
    user: 'New logins are signed by the new user authority.',
    host: 'known_hosts needs the new host authority before update_servers: tctl auth export --type=host.',
  },
  update_servers: {
    user: '',
    host: 'Servers show new host certificates; OpenSSH servers need one before standby: tctl auth sign --host=…',
  },
  rollback: {
    user: 'The old user authority signs again: users log in again.',
    host: 'The old host authority signs again.',
  },
}

export const authRotate: CommandRun = async ({ options }) => {
  const body = requestOf(options)
  return await withAdminApi(options, async (api) => {
    const report = await api.call(rotateAuthorities, { body })
    const now = new Date()
    const done =
      body.mode === 'manual'
        ? `Updated rotation phase to "${body.phase ?? 'init'}". To check status use 'tctl status'`
        : "Initiated certificate authority rotation. To check status use 'tctl status'"
    const name = { host: 'Host CA', user: 'User CA' } as const
    const pairs: [string, string][] = [
      ...report.authorities.map((one): [string, string] => [name[one.type], authorityText(one, now)]),
      ...waitingRows(report),
    ]
    process.stdout.write(`${done}\n${formatPairs(pairs)}`)
    const hint = hintFor(body)
    if (hint !== undefined) process.stderr.write(`${hint}\n`)
    return 0
  })
}
