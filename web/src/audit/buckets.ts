/** Counts events over time, for the charts. */

export interface CountedEvent {
  readonly event: string
  readonly code: string
  readonly time: string
}

export const series = ['logins', 'sessions', 'failures'] as const
export type Series = (typeof series)[number]

/** What is asked for to count it. */
export const countedTypes = 'user.login,session.start,auth,session.rejected'

export interface Bucket extends Readonly<Record<Series, number>> {
  /** Milliseconds since 1970. */
  readonly start: number
}

/** Which of them an event counts for: codes that end with W tell of failures. */
export function seriesOf({ event, code }: CountedEvent): Series | undefined {
  if (code.endsWith('W')) return 'failures'
  if (event === 'user.login') return 'logins'
  return event === 'session.start' ? 'sessions' : undefined
}

/** `count` spans of the same length from `from` to `to`; what is outside of them is not counted. */
export function bucketsOf(events: readonly CountedEvent[], from: number, to: number, count: number): Bucket[] {
  const width = Math.max(1, (to - from) / count)
  const buckets = Array.from({ length: count }, (_, index) => ({
    start: Math.round(from + index * width),
    logins: 0,
    sessions: 0,
    failures: 0,
  }))
  for (const event of events) {
    const name = seriesOf(event)
    const bucket = buckets[Math.min(count - 1, Math.floor((Date.parse(event.time) - from) / width))]
    if (name !== undefined && bucket !== undefined) bucket[name]++
  }
  return buckets
}
