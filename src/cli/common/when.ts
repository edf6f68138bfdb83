/** Times on a command line. */

import { parseDuration } from '../../common/durations.ts'
import { BadParameter } from '../../errors/errors.ts'

/** RFC 3339 of a time, or of a duration that means so long ago. Throws BadParameter. */
export function whenOf(text: string | undefined, param: string, now: Date): string | undefined {
  if (text === undefined) return undefined
  const ago = /^\d+(?:\.\d+)?[a-z]/.test(text)
  const time = ago ? now.getTime() - parseDuration(text, { name: param }) : Date.parse(text)
  if (Number.isNaN(time))
    throw new BadParameter(param, `${param}: ${JSON.stringify(text)} is neither a time nor a duration`)
  return new Date(time).toISOString()
}
