/** Lists, lifetimes and labels as they stand in flags. Each throws BadParameter that names the flag. */

import type { ServerRole } from '../../api/model.ts'
import { parseDuration } from '../../common/durations.ts'
import { BadParameter } from '../../errors/errors.ts'

/** `a,b , c`. An empty entry is an error: it is a typing mistake more often than a wish. */
export function listOf(text: string, param: string): readonly string[] {
  const items = text.split(',').map((item) => item.trim())
  if (items.includes('')) throw new BadParameter(param, `${param}: ${JSON.stringify(text)} has an empty entry`)
  return [...new Set(items)]
}

/** Seconds; a bare number means minutes. */
export function secondsOf(text: string | undefined, param: string): number | undefined {
  if (text === undefined) return undefined
  const seconds = Math.round(parseDuration(text, { bare: 'minutes', name: param }) / 1000)
  if (seconds < 1) throw new BadParameter(param, `${param}: ${text} is no time at all`)
  return seconds
}

export function rolesOf(text: string, param: string): ServerRole[] {
  return listOf(text.toLowerCase(), param).map((role) => {
    switch (role) {
      case 'auth':
      case 'proxy':
      case 'node':
        return role
      default:
        throw new BadParameter(param, `${param}: ${JSON.stringify(role)} is not one of node, proxy, auth`)
    }
  })
}

export function labelsOf(text: string | undefined, param: string): Record<string, string> {
  if (text === undefined) return {}
  return Object.fromEntries(
    listOf(text, param).map((item) => {
      const index = item.indexOf('=')
      if (index < 1) throw new BadParameter(param, `${param}: ${JSON.stringify(item)} is not NAME=VALUE`)
      return [item.slice(0, index), item.slice(index + 1)]
    }),
  )
}
