/** `tctl audit ls` and `tctl audit search` */

import { searchEvents } from '../../../api/routes.ts'
import { describeEvent, detailsOf } from '../../../audit/describe.ts'
import { formatTable } from '../../../common/text.ts'
import { BadParameter, MissingParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import type { CommandRun, Invocation, OptionValues } from '../../common/spec.ts'
import { whenOf } from '../../common/when.ts'
import { withAdminApi } from '../connect.ts'

/** The options that choose events, as the API takes them. */
export function eventFilter(options: OptionValues): Readonly<Record<string, string>> {
  const now = new Date()
  const filter = {
    from: whenOf(options.string('from'), '--from', now),
    to: whenOf(options.string('to'), '--to', now),
    type: options.list('type').join(',') || undefined,
    user: options.string('user'),
    session: options.string('session'),
  }
  return Object.fromEntries(
    Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

export const auditLs: CommandRun = (invocation) => list(invocation, undefined)

export const auditSearch: CommandRun = (invocation) => {
  const text = invocation.args.join(' ').trim()
  if (text === '') {
    throw new MissingParameter(
      'text',
      'say what to search for: words, "a phrase", a begin*; or list events with "tctl audit ls"',
    )
  }
  return list(invocation, text)
}

async function list({ options }: Invocation, text: string | undefined): Promise<number> {
  const limitText = options.string('limit') ?? '100'
  const limit = /^\d{1,7}$/.test(limitText) ? Number(limitText) : 0
  if (limit < 1) throw new BadParameter('--limit', `--limit: ${JSON.stringify(limitText)} is not a number above 0`)
  const filter = { ...eventFilter(options), ...(text === undefined ? {} : { text }) }
  return await withAdminApi(options, async (api) => {
    const events: Record<string, unknown>[] = []
    let after: string | undefined
    do {
      const page = await api.call(searchEvents, {
        query: { limit: Math.min(1000, limit - events.length), ...(after === undefined ? {} : { after }), ...filter },
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
          options.flag('verbose') ? detailsOf(event) : describeEvent(event),
        ]),
      ),
    )
    return 0
  })
}
