/**
 * What the lines of asciicast v2 say (https://docs.asciinema.org/manual/asciicast/v2/): our chunks, and files of any other program. Everything
 * is bounded and nothing stops at damage: a line that is none becomes an entry that says so, and the rest can still be watched.
 * Nothing here needs Node.js: the page in a browser reads with it too.
 */

import { quote } from '../../common/text.ts'
import { BadParameter } from '../../errors/errors.ts'
import { MAX_CHUNK_TEXT } from './limits.ts'

export interface CastHeader {
  readonly columns: number
  readonly rows: number
  /** Absent when the file does not say. */
  readonly started?: Date
  readonly title?: string
  readonly command?: string
  readonly term?: string
  readonly durationMs?: number
}

/** `atMs`: milliseconds since the start, never less than those of the entry before. */
export type CastEntry =
  | {
      /** `damage`: something here could not be read; the text says what. */
      readonly type: 'output' | 'mark' | 'keyframe' | 'damage'
      readonly atMs: number
      readonly text: string
    }
  | { readonly type: 'resize'; readonly atMs: number; readonly columns: number; readonly rows: number }

/** One line may be as long as a whole chunk; a longer one is damage. */
export const maxLineBytes = MAX_CHUNK_TEXT
/** How a line begins that stands for a part of a file that could not be read. */
export const damagedLine = 'damaged: '
/** Milliseconds: a hundred years. */
const maxTime = 100 * 365 * 86_400_000

/** The first line of a recording. Throws BadParameter for anything but asciicast v2. */
export function parseHeader(line: string): CastHeader {
  const value = parseJson(line)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BadParameter('recording', `this is no asciicast recording: it begins with ${quote(line)}`)
  }
  const header = value as Readonly<Record<string, unknown>>
  if (header.version !== 2) {
    const found = typeof header.version === 'number' ? `version ${header.version}` : 'a file without a version'
    throw new BadParameter('recording', `only asciicast version 2 can be read, and this is ${found}`)
  }
  const { timestamp, title, command, duration } = header
  const env = typeof header.env === 'object' && header.env !== null ? (header.env as Record<string, unknown>) : {}
  return {
    columns: sideOf(header.width) ?? 80,
    rows: sideOf(header.height) ?? 24,
    ...(typeof timestamp === 'number' && Math.abs(timestamp) < 8.64e12 ? { started: new Date(timestamp * 1000) } : {}),
    ...(typeof title === 'string' ? { title } : {}),
    ...(typeof command === 'string' ? { command } : {}),
    ...(typeof env.TERM === 'string' ? { term: env.TERM } : {}),
    ...(typeof duration === 'number' && duration >= 0 ? { durationMs: Math.min(duration * 1000, maxTime) } : {}),
  }
}

const sideOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 65_535 ? value : undefined

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line) as unknown
  } catch {
    return undefined
  }
}

/** Turns lines into entries. One for each reading, since times may not go back. */
export class EntryReader {
  #lastMs: number

  constructor(startMs = 0) {
    this.#lastMs = startMs
  }

  /** Undefined for an empty line and for codes that nobody has to know. Never throws. */
  read(line: string): CastEntry | undefined {
    if (line.length === 0 || line === '\r') return undefined
    if (line.length > maxLineBytes) return this.damage('a line is too long')
    if (line.startsWith(damagedLine)) return this.damage(line.slice(damagedLine.length))
    const value = parseJson(line)
    if (!Array.isArray(value)) return this.damage(`a line is no entry: ${quote(line)}`)
    const [time, code, data] = value as readonly unknown[]
    if (typeof time !== 'number' || typeof code !== 'string' || typeof data !== 'string') {
      return this.damage(`an entry has not the form of one: ${quote(line)}`)
    }
    const atMs = Math.round(time * 1000)
    if (!(atMs <= maxTime)) return this.damage(`an entry has an impossible time: ${quote(line)}`)
    this.#lastMs = Math.max(this.#lastMs, atMs)
    switch (code) {
      case 'o':
        return { type: 'output', atMs: this.#lastMs, text: data.toWellFormed() }
      case 'k':
        return { type: 'keyframe', atMs: this.#lastMs, text: data.toWellFormed() }
      case 'm':
        return { type: 'mark', atMs: this.#lastMs, text: data.toWellFormed() }
      case 'r':
        return this.#resize(data)
      default:
        return undefined
    }
  }

  damage(text: string): CastEntry {
    return { type: 'damage', atMs: this.#lastMs, text }
  }

  #resize(data: string): CastEntry {
    const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(data) ?? []
    const [columns, rows] = [sideOf(Number(width)), sideOf(Number(height))]
    if (columns === undefined || rows === undefined) return this.damage(`a size is none: ${quote(data)}`)
    return { type: 'resize', atMs: this.#lastMs, columns, rows }
  }
}

/** The entries of one chunk of a recording; a header line in it is passed over. */
export function* entriesOf(lines: Iterable<string>, fromMs: number): Generator<CastEntry> {
  const reader = new EntryReader(fromMs)
  for (const line of lines) {
    if (line.startsWith('{') && parseJson(line) !== undefined) continue
    const entry = reader.read(line)
    if (entry !== undefined) yield entry
  }
}
