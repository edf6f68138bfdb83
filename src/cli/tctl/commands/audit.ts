/** `tctl audit ls` */

import { searchEvents } from '../../../api/routes.ts'
import { parseDuration } from '../../../common/durations.ts'
import { formatTable } from '../../../common/text.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'

/** A time, or a duration that means so long ago. Throws BadParameter. */
function timeOf(text: string | undefined, param: string, now: number): string | undefined {
  if (text === undefined) return undefined
  const time = /^\d+(?:\.\d+)?[a-z]/.test(text) ? now - parseDuration(text, { name: param }) : Date.parse(text)
  if (Number.isNaN(time))
    throw new BadParameter(param, `${param}: ${JSON.stringify(text)} is neither a time nor a duration`)
  return new Date(time).toISOString()
}

/** Everything of an event that the other columns do not show. */
function details(event: Readonly<Record<string, unknown>>): string {
  const shown = new Set(['event', 'code', 'time', 'uid', 'user', 'ei', 'cluster_name'])
  return Object.entries(event)
    .filter(([key, value]) => !shown.has(key) && value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(' ')
}

export const auditLs: CommandRun = async ({ options }) => {
  const now = Date.now()
  const limitText = options.string('limit') ?? '100'
  const limit = /^\d{1,7}$/.test(limitText) ? Number(limitText) : 0
  if (limit < 1) throw new BadParameter('--limit', `--limit: ${JSON.stringify(limitText)} is not a number above 0`)
  const from = timeOf(options.string('from'), '--from', now)
  const to = timeOf(options.string('to'), '--to', now)
  const [type, user, session] = [options.string('type'), options.string('user'), options.string('session')]
  return await withAdminApi(options, async (api) => {
    const events: Record<string, unknown>[] = []
    let after: string | undefined
    do {
      const page = await api.call(searchEvents, {
        query: {
          limit: Math.min(1000, limit - events.length),
          ...(after === undefined ? {} : { after }),
          ...(from === undefined ? {} : { from }),
          ...(to === undefined ? {} : { to }),
          ...(type === undefined ? {} : { type }),
          ...(user === undefined ? {} : { user }),
          ...(session === undefined ? {} : { session }),
        },
      })
      events.push(...page.items)
      after = page.next
    } while (after !== undefined && events.length < limit)
    await print(options.string('format'), events, () =>
      formatTable(
        ['Time', 'Event', 'Code', 'User', 'Details'],
        events.map((event) => [
          String(event.time),
          String(event.event),
          String(event.code),
          typeof event.user === 'string' ? event.user : '',
          details(event),
        ]),
      ),
    )
    return 0
  })
}
