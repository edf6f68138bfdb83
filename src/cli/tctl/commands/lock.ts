/** `tctl lock`: shuts out a user, role, login, node or second factor, now. */

import type { ApiClient } from '../../../api/client.ts'
import type { Presence } from '../../../api/model.ts'
import { createLock, getRole, getUser, listPresence } from '../../../api/routes.ts'
import { formatDuration } from '../../../common/durations.ts'
import { isUuid } from '../../../common/names.ts'
import { quote } from '../../../common/text.ts'
import { BadParameter, isNotFound, MissingParameter, NotFound } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { shortTime } from '../../common/time.ts'
import { secondsOf } from '../arguments.ts'
import { withAdminApi } from '../connect.ts'
import { allPages } from '../pages.ts'

const flags = { user: 'user', role: 'role', login: 'login', node: 'node', mfaDevice: 'mfa_device' } as const

export const lock: CommandRun = async ({ options }) => {
  const target = targetOf(options)
  const expires = expiryOf(options, new Date())
  return await withAdminApi(options, async (api) => {
    const { node } = target
    const created = await api.call(createLock, {
      body: {
        target: { ...target, ...(node === undefined ? {} : { node: await nodeUuid(api, node) }) },
        message: options.string('message') ?? '',
        ...(expires === undefined ? {} : { expires: expires.toISOString() }),
      },
    })
    await warnOfNobody(api, target)
    await print(options.string('format'), created, () => {
      const until = expires === undefined ? '' : `, until ${shortTime(expires)}`
      return printable(`Created a lock with name ${quote(created.id)}${until}.`).concat(
        `\nLift it with: tctl rm lock/${created.id}\n`,
      )
    })
    return 0
  })
}

type Target = { [Field in (typeof flags)[keyof typeof flags]]?: string }

function targetOf(options: OptionValues): Target {
  const target: Target = {}
  for (const [option, field] of Object.entries(flags)) {
    const value = options.string(option)
    // An empty variable of a script must not become a lock of something else.
    if (value === '') throw new BadParameter(option, `--${field.replace('_', '-')}: the name is empty`)
    if (value !== undefined) target[field] = value
  }
  if (Object.keys(target).length > 0) return target
  throw new MissingParameter(
    'target',
    'name whom to lock: --user, --role, --login, --node or --mfa-device; of several, all must fit',
  )
}

function expiryOf(options: OptionValues, now: Date): Date | undefined {
  const [ttl, at] = [secondsOf(options.string('ttl'), '--ttl'), options.string('expires')]
  if (ttl !== undefined && at !== undefined) throw new BadParameter('--ttl', 'give --ttl or --expires, not both')
  if (ttl !== undefined) return new Date(now.getTime() + ttl * 1000)
  if (at === undefined) return undefined
  const time = Date.parse(at)
  if (Number.isNaN(time))
    throw new BadParameter('--expires', `--expires: ${quote(at)} is not a time such as 2030-01-31T12:00:00Z`)
  if (time <= now.getTime())
    throw new BadParameter(
      '--expires',
      `--expires: ${quote(at)} is in the past (${formatDuration(now.getTime() - time)} ago)`,
    )
  return new Date(time)
}

/** A machine can change its name, but not its uuid. */
async function nodeUuid(api: ApiClient, name: string): Promise<string> {
  if (isUuid(name)) return name
  const nodes = await allPages<Presence>((query) => api.call(listPresence, { query: { role: 'node', ...query } }))
  const named = nodes.filter(({ hostname }) => hostname.toLowerCase() === name.toLowerCase())
  const [only] = named
  if (only === undefined)
    throw new NotFound(`node ${quote(name)} is not found; give its UUID if it is not there now (tctl nodes ls)`)
  if (named.length > 1) {
    const uuids = named.map(({ uuid }) => uuid).join(', ')
    throw new BadParameter('--node', `--node: ${named.length} nodes are called ${quote(name)}; give the UUID: ${uuids}`)
  }
  return only.uuid
}

/** A mistyped name locks nobody. The lock stays all the same: somebody of that name may be made any moment. */
async function warnOfNobody(api: ApiClient, { user, role }: Target): Promise<void> {
  const missing = async (what: string, name: string, read: () => Promise<unknown>): Promise<void> => {
    try {
      await read()
    } catch (error) {
      if (isNotFound(error))
        process.stderr.write(printable(`WARNING: there is no ${what} ${quote(name)} now.`).concat('\n'))
    }
  }
  if (user !== undefined) await missing('user', user, () => api.call(getUser, { params: { name: user } }))
  if (role !== undefined) await missing('role', role, () => api.call(getRole, { params: { name: role } }))
}
