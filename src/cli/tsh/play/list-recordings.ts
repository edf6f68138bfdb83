/** `recordings ls` of tsh and tctl. */

import type { z } from 'zod'
import type { ApiClient } from '../../../api/client.ts'
import { listRecordings } from '../../../api/recording-routes.ts'
import { clockTime } from '../../../audit/recording/play/clock-time.ts'
import { formatTable } from '../../../common/text.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { OptionValues } from '../../common/spec.ts'
import { shortTime } from '../../common/time.ts'
import { whenOf } from '../../common/when.ts'

type Recording = z.output<typeof listRecordings.output>['items'][number]

/** Prints them, newest first. Throws BadParameter and what the API throws. */
export async function printRecordings(
  api: Pick<ApiClient, 'call'>,
  options: OptionValues,
  program: 'tsh' | 'tctl',
  now: Date,
): Promise<number> {
  const recordings = await fetchRecordings(api, options, now)
  const search = options.string('search')
  await print(options.string('format'), recordings, () => {
    const table = formatTable(
      ['ID', 'Type', 'Participants', 'Node', 'Login', 'Started', 'Duration', 'Size', 'State'],
      recordings.map((recording) => [
        recording.sid,
        recording.interactive ? 'shell' : 'exec',
        participants(recording).join(', '),
        recording.serverHostname,
        recording.login,
        shortTime(new Date(recording.started)),
        clockTime(recording.durationMs),
        sizeText(recording.bytes),
        recording.failure === undefined ? recording.state : `${recording.state}, with gaps`,
      ]),
    )
    return search === undefined ? table : `${table}${recordings.map((each) => matchLines(each, program)).join('')}`
  })
  return 0
}

/** The user first, then who joined. */
const participants = ({ user, participants: others }: Recording): string[] => [...new Set([user, ...others])]

/** The lines in which the words were found, each with the command that shows it. */
function matchLines({ sid, matches = [] }: Recording, program: 'tsh' | 'tctl'): string {
  const lines = matches.map(({ atMs, text }) => {
    const hint = program === 'tsh' ? `tsh play ${sid} --at=${Math.floor(atMs / 1000)}` : `${sid} at ${clockTime(atMs)}`
    return `  ${clockTime(atMs).padStart(8)}  ${printable(text)}\n            ${hint}\n`
  })
  return lines.length === 0 ? '' : `\n${sid}\n${lines.join('')}`
}

async function fetchRecordings(api: Pick<ApiClient, 'call'>, options: OptionValues, now: Date): Promise<Recording[]> {
  const limitText = options.string('limit') ?? '100'
  const limit = /^\d{1,7}$/.test(limitText) ? Number(limitText) : 0
  if (limit < 1) throw new BadParameter('--limit', `--limit: ${JSON.stringify(limitText)} is not a number above 0`)
  const given = {
    from: whenOf(options.string('from'), '--from', now),
    to: whenOf(options.string('to'), '--to', now),
    user: options.string('user'),
    node: options.string('node'),
    search: options.string('search'),
  }
  const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const found: Recording[] = []
  let after: string | undefined
  do {
    const query = { ...filter, limit: Math.min(1000, limit - found.length), ...(after === undefined ? {} : { after }) }
    const page = await api.call(listRecordings, { query })
    found.push(...page.items)
    after = page.next
  } while (after !== undefined && found.length < limit)
  return found.slice(0, limit)
}

/** `512 B`, `3.4 KiB`, `12 MiB`. */
export function sizeText(bytes: number): string {
  let value = bytes
  let unit = 'B'
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1024) break
    value /= 1024
    unit = next
  }
  return `${unit === 'B' || value >= 10 ? Math.round(value) : value.toFixed(1)} ${unit}`
}
