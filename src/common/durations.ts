/** Durations as people write them in YAML and flags (`8h`, `1h30m`, `90`), and as Go prints them (`12h0m0s`). */

import { BadParameter } from '../errors/errors.ts'
import { quote } from './text.ts'

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export interface DurationOptions {
  /** What a number without a unit means. Without it such a number is refused, except 0. */
  readonly bare?: 'minutes' | 'seconds'
  /** For the message. */
  readonly name?: string
}

/**
 * Milliseconds. Throws BadParameter for anything but whole or decimal numbers with `h`, `m`, `s`, `ms` (`d` is 24 h),
 * for negative ones and for more than 100 years.
 */
export function parseDuration(text: string, options: DurationOptions = {}): number {
  const { name = 'duration' } = options
  const fail = (why: string) => new BadParameter(name, `${name} ${quote(text)} ${why}`)
  const trimmed = text.trim()
  if (trimmed === '' || trimmed.length > 64) throw fail('is not a duration such as 8h, 30m or 1h30m')
  let ms = 0
  if (/^\d+$/.test(trimmed)) {
    if (options.bare === undefined && Number(trimmed) !== 0) throw fail('needs a unit, such as 8h, 30m or 45s')
    ms = Number(trimmed) * (options.bare === 'seconds' ? 1000 : 60_000)
  } else {
    if (!/^(?:\d+(?:\.\d+)?(?:ms|[dhms]))+$/.test(trimmed)) throw fail('is not a duration such as 8h, 30m or 1h30m')
    for (const [, number, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)) {
      ms += Number(number) * (UNITS_MS[unit ?? ''] ?? 0)
    }
  }
  if (!(ms <= 100 * 365 * 86_400_000)) throw fail('is longer than 100 years')
  return Math.round(ms)
}

/** As Go's `time.Duration` prints it: `12h0m0s`, `1m30s`, `45s`, `1.5s`, `300ms`, `0s`. */
export function formatDuration(ms: number): string {
  const sign = ms < 0 ? '-' : ''
  const total = Math.round(Math.abs(ms))
  if (total === 0) return '0s'
  if (total < 1000) return `${sign}${total}ms`
  const hours = Math.floor(total / 3_600_000)
  const minutes = Math.floor((total % 3_600_000) / 60_000)
  const seconds = `${(total % 60_000) / 1000}s`
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`
}

/** For a sentence: `30 minutes`, `1 hour`, `12 hours`, `1 hour 30 minutes`. Seconds only below a minute. */
export function describeDuration(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000))
  if (total < 60) return unit(total, 'second')
  const minutes = Math.round(total / 60)
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60]
  if (hours === 0) return unit(rest, 'minute')
  return rest === 0 ? unit(hours, 'hour') : `${unit(hours, 'hour')} ${unit(rest, 'minute')}`
}

const unit = (count: number, name: string): string => `${count} ${name}${count === 1 ? '' : 's'}`
