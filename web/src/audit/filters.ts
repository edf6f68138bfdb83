/** What is chosen of the audit log, as it stands in the address. */

export const ranges = ['1h', '24h', '7d', '30d', 'all', 'custom'] as const
export type Range = (typeof ranges)[number]

export interface AuditFilters {
  /** Absent: the last 24 hours. */
  readonly range?: Range
  /** With `custom`, ISO 8601. */
  readonly from?: string
  readonly to?: string
  readonly type?: string
  readonly user?: string
  readonly session?: string
  readonly text?: string
}

/** A word of the address may have been read as a number. */
const word = (value: unknown, max: number): string | undefined => {
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && text !== '' && text.length <= max ? text : undefined
}

const time = (value: unknown): string | undefined => {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString()
}

/** Of whatever somebody wrote into the address, what can be asked for. */
export function readFilters(search: Readonly<Record<string, unknown>>): AuditFilters {
  const range = ranges.find((each) => each === search.range)
  const all = {
    range,
    from: range === 'custom' ? time(search.from) : undefined,
    to: range === 'custom' ? time(search.to) : undefined,
    type: word(search.type, 256),
    user: word(search.user, 256),
    session: word(search.session, 64),
    text: word(search.text, 256),
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

const hour = 3_600_000
const lengths = { '1h': hour, '24h': 24 * hour, '7d': 7 * 24 * hour, '30d': 30 * 24 * hour } as const

/** As the API takes them. */
export function queryOf({ range = '24h', ...filters }: AuditFilters, now: number) {
  if (range === 'all' || range === 'custom') return filters
  return { ...filters, from: new Date(now - lengths[range]).toISOString() }
}

/** For an input of a date and time: in the time of this place. */
export function localTime(iso: string | undefined): string {
  if (iso === undefined) return ''
  const date = new Date(iso)
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
