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
    // A key can only be it when it is written so, or with its characters escaped; looking at each key takes many times longer.
    return (prototypeKey.test(text) ? JSON.parse(text, refusePrototype) : JSON.parse(text)) as unknown
  } catch (error) {
    if (error instanceof BadParameter) throw error
    throw new BadParameter('body', 'the request body is not valid JSON', { cause: error })
  }
}

const prototypeKey = /__proto__|\\u00/i

function refusePrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new BadParameter('__proto__', 'the field "__proto__" is not allowed')
  return value
}

/** Brackets open at a time, those inside strings not counted. Good enough for text that is no JSON, too. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) i = endOfString(text, i)
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth)
    else if (code === 0x5d || code === 0x7d) depth--
  }
  return deepest
}

/** Place of the closing quote; the end of the text when there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++
    if (slashes % 2 === 0) return end
  }
  return text.length
}
