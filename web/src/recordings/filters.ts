/** The filters of the list as they stand in the address. */

import type { Filters } from './calls.ts'

const longest = 256
const day = /^\d{4}-\d{2}-\d{2}$/

/** From what is in the address, whoever wrote it. What is no filter is left out. */
export function readFilters(search: Readonly<Record<string, unknown>>): Filters {
  const word = (name: string): string | undefined => {
    const value = search[name]
    // A number in the address is read as one.
    const text = typeof value === 'number' ? String(value) : value
    return typeof text === 'string' && text.trim() !== '' && text.length <= longest ? text : undefined
  }
  const date = (name: string): string | undefined => {
    const text = word(name)
    return text !== undefined && day.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined
  }
  return Object.fromEntries(
    Object.entries({
      search: word('search'),
      user: word('user'),
      node: word('node'),
      from: date('from'),
      to: date('to'),
    }).filter(([, value]) => value !== undefined),
  )
}

/** The second to begin with, from the address. */
export function readAt(search: Readonly<Record<string, unknown>>): { at?: number } {
  const value = Number(search.at)
  return search.at !== undefined && search.at !== '' && Number.isFinite(value) && value > 0 && value < 1e9
    ? { at: Math.round(value * 10) / 10 }
    : {}
}
