/** JSON from outside: nesting is bounded before it is parsed, and keys that could reach a prototype are refused. */

import { BadParameter } from '../errors/errors.ts'

/** Our deepest document, a role, has less than ten levels. */
export const maxJsonDepth = 64

/** Throws BadParameter. The text's size is bounded by the caller. */
export function parseJsonBounded(text: string): unknown {
  if (text.trim() === '') throw new BadParameter('body', 'the request body is empty')
  if (depthOf(text) > maxJsonDepth) {
    throw new BadParameter('body', `the request body is nested deeper than ${maxJsonDepth} levels`)
  }
  try {
    return JSON.parse(text, refusePrototype) as unknown
  } catch (error) {
    if (error instanceof BadParameter) throw error
    throw new BadParameter('body', 'the request body is not valid JSON', { cause: error })
  }
}

function refusePrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new BadParameter('__proto__', 'the field "__proto__" is not allowed')
  return value
}

/** Brackets open at a time, those inside strings not counted. Good enough for text that is no JSON, too. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inString) {
      if (code === 0x5c) i++
      else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth)
    else if (code === 0x5d || code === 0x7d) depth--
  }
  return deepest
}
