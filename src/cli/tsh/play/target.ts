/** What the command line says about a recording: which one, and from when on. */

import { parseDuration } from '../../../common/durations.ts'
import { quote } from '../../../common/text.ts'
import { BadParameter } from '../../../errors/errors.ts'

const sessionId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** A session's id, in lower case; undefined for a file. */
export const sessionOf = (text: string): string | undefined => (sessionId.test(text) ? text.toLowerCase() : undefined)

/** Milliseconds of `90`, `90.5`, `1:30`, `1:02:03` or `1m30s`. Throws BadParameter. */
export function parseAt(text: string): number {
  if (/^\d{1,9}(?:\.\d{1,20})?$/.test(text)) return Math.round(Number(text) * 1000)
  const [, hours, minutes, seconds] = /^(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2}(?:\.\d{1,20})?)$/.exec(text) ?? []
  if (minutes !== undefined && seconds !== undefined) {
    return Math.round((Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000)
  }
  try {
    return parseDuration(text, { name: '--at' })
  } catch (error) {
    throw new BadParameter('--at', `--at: ${quote(text)} is no time such as 90, 1:30 or 1m30s`, { cause: error })
  }
}

/** The speed of `1.5` or `2x`: 0.1 to 64. Throws BadParameter. */
export function parseSpeed(text: string): number {
  const value = /^\d{1,3}(?:\.\d{1,3})?x?$/.test(text) ? Number.parseFloat(text) : Number.NaN
  if (!(value >= 0.1 && value <= 64))
    throw new BadParameter('--speed', `--speed: ${quote(text)} is not a number from 0.1 to 64`)
  return value
}
