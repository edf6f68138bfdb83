/** Filters and pages over summaries that are at hand. */

import { BadParameter } from '../../errors/errors.ts'
import type { RecordingPage, RecordingQuery } from './store.ts'
import type { RecordingSummary } from './types.ts'

type Listed = RecordingPage['recordings'][number]

/** Newest first. `search` gives what was found in one; undefined when it has no match. */
export async function pageOfSummaries(
  summaries: readonly RecordingSummary[],
  query: RecordingQuery,
  search: (summary: RecordingSummary, words: string) => Promise<Listed['matches']>,
): Promise<RecordingPage> {
  const { limit = 100, cursor = '0' } = query
  if (!/^\d{1,9}$/.test(cursor)) throw new BadParameter('cursor', 'the page cursor is not one that this list returned')
  const listed: Listed[] = []
  for (const summary of summaries.toSorted((a, b) => Date.parse(b.started) - Date.parse(a.started))) {
    if (!fits(summary, query)) continue
    if (query.search === undefined) {
      listed.push(summary)
      continue
    }
    const matches = await search(summary, query.search)
    if (matches !== undefined) listed.push({ ...summary, matches })
  }
  const from = Number(cursor)
  const recordings = listed.slice(from, from + limit)
  return from + limit < listed.length ? { recordings, next: String(from + limit) } : { recordings }
}

function fits(summary: RecordingSummary, query: RecordingQuery): boolean {
  const { from, to, user, node, participant } = query
  const started = Date.parse(summary.started)
  const people = [summary.user, ...summary.participants]
  return (
    (from === undefined || started >= from.getTime()) &&
    (to === undefined || started < to.getTime()) &&
    (user === undefined || people.includes(user)) &&
    (participant === undefined || people.includes(participant)) &&
    (node === undefined || [summary.serverId, summary.serverHostname].includes(node))
  )
}
