/**
 * An event from anywhere becomes one bounded line of JSON: long values are cut and named in `trimmed`, so that a
 * megabyte typed as a user name neither fills the disk nor hides the event.
 */

import { isUuid } from '../common/names.ts'
import { truncate } from '../common/text.ts'
import { BadParameter } from '../errors/errors.ts'
import { type AuditEvent, isEventCode } from './events.ts'

const MAX_TEXT = 4096
const MAX_ENTRIES = 256
const MAX_DEPTH = 4
/** Of the whole line, after the single values were cut. */
const MAX_LINE = 64 * 1024

/** Of a field. */
const MAX_NAME = 128
/** `ei` and `hash` are the store's to give; `trimmed` ours: a given one counts as far as it can be true. */
const STORES_OWN: readonly string[] = ['ei', 'hash', 'trimmed']

/** Identity of the event: never cut, checked instead. */
const FIXED: readonly string[] = ['event', 'code', 'uid', 'time']

/** What stores index. */
export interface BoundEvent {
  readonly uid: string
  readonly timeMs: number
  readonly event: string
  readonly user: string
  readonly sid: string
  /** JSON without `ei`, on one line. */
  readonly body: string
}

/** Throws BadParameter for something that is not an event: unknown name, wrong code, malformed uid or time. */
export function boundEvent(input: unknown): BoundEvent {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) throw bad('is not an object')
  const fields = input as Readonly<Record<string, unknown>>
  const { event, code, uid, time, user, sid } = fields
  if (typeof event !== 'string' || typeof code !== 'string' || !isEventCode(event, code))
    throw bad('has an unknown name or code')
  if (typeof uid !== 'string' || !isUuid(uid)) throw bad('has no valid uid')
  const timeMs = typeof time === 'string' && time.length <= 40 ? Date.parse(time) : Number.NaN
  if (Number.isNaN(timeMs)) throw bad('has no valid time')
  const identity = {
    uid,
    timeMs,
    event,
    user: typeof user === 'string' ? truncate(user.toWellFormed(), 256) : '',
    sid: typeof sid === 'string' ? truncate(sid.toWellFormed(), 256) : '',
  }
  // Nearly all need no change, and then are written as they are: making them anew takes twice as long.
  if (isPlain(input, 0) && !STORES_OWN.some((name) => name in fields)) {
    const body = JSON.stringify(input)
    if (body.length <= MAX_LINE) return { ...identity, body }
  }
  const trimmed = cutBefore(fields)
  const clean: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(fields).slice(0, MAX_ENTRIES)) {
    if (STORES_OWN.includes(name) || name.length > MAX_NAME) continue
    const state = { cut: false }
    clean[name] = FIXED.includes(name) ? value : bound(value, 0, state)
    if (state.cut) trimmed.push(name)
  }
  return { ...identity, body: shrink(clean, trimmed) }
}

/** What was cut already where the event comes from: a node's spool bounds it too, and the mark must survive the second time. */
function cutBefore(fields: Readonly<Record<string, unknown>>): string[] {
  if (!Array.isArray(fields.trimmed)) return []
  return fields.trimmed.slice(0, MAX_ENTRIES).filter((name): name is string => {
    if (typeof name !== 'string' || name.length > MAX_NAME || !name.isWellFormed()) return false
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (typeof value === 'string') return value.length === MAX_TEXT && value.endsWith('...')
    return value === undefined || (typeof value === 'object' && value !== null)
  })
}

/** Drops the longest fields until the line fits, so that at least who, what and when stay. */
function shrink(fields: Record<string, unknown>, trimmed: string[]): string {
  const write = () => JSON.stringify(trimmed.length === 0 ? fields : { ...fields, trimmed: [...new Set(trimmed)] })
  let line = write()
  while (line.length > MAX_LINE) {
    const longest = Object.keys(fields)
      .filter((name) => !FIXED.includes(name))
      .sort((a, b) => sizeOf(fields[b]) - sizeOf(fields[a]))[0]
    if (longest === undefined) break
    delete fields[longest]
    trimmed.push(longest)
    line = write()
  }
  return line
}

/** Within all bounds, and JSON as it is. What is not is no error: it is just written the careful way. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      return value.length <= MAX_TEXT && value.isWellFormed()
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      break
    default:
      return false
  }
  if (value === null) return true
  // The event itself is not one of the values whose depth counts.
  if (depth > MAX_DEPTH) return false
  if (Array.isArray(value)) return value.length <= MAX_ENTRIES && value.every((entry) => isPlain(entry, depth + 1))
  if (Object.getPrototypeOf(value) !== Object.prototype) return false
  let count = 0
  for (const name in value) {
    if (++count > MAX_ENTRIES || name.length > MAX_NAME || !isPlain(value[name as keyof typeof value], depth + 1))
      return false
  }
  return true
}

const sizeOf = (value: unknown): number => (JSON.stringify(value) ?? '').length

function bound(value: unknown, depth: number, state: { cut: boolean }): unknown {
  switch (typeof value) {
    case 'string':
      if (value.length > MAX_TEXT) state.cut = true
      return truncate(value.toWellFormed(), MAX_TEXT)
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'object':
      break
    default:
      return undefined
  }
  if (value === null) return null
  if (depth >= MAX_DEPTH) {
    state.cut = true
    return null
  }
  const entries = Object.entries(value)
  if (entries.length > MAX_ENTRIES) state.cut = true
  const kept = entries.slice(0, MAX_ENTRIES)
  if (Array.isArray(value)) return kept.map(([, entry]) => bound(entry, depth + 1, state) ?? null)
  const result: Record<string, unknown> = Object.create(null)
  for (const [name, entry] of kept) {
    if (name.length > 256) state.cut = true
    else result[name] = bound(entry, depth + 1, state)
  }
  return result
}

function bad(why: string): BadParameter {
  return new BadParameter('event', `the audit event ${why}`)
}

/** The event as it was accepted. For `body` texts that `boundEvent` made. */
export function parseBody(body: string): AuditEvent {
  return JSON.parse(body)
}

/** The fields of a stored body; none when it was damaged, which is for those to say who verify the log. */
export function parseFields(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
