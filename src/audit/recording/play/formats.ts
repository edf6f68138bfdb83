/** A recording as a stream of text: asciicast for other players, JSON for programs. Control characters are always escaped. */

import { Transcript } from './transcript.ts'
import type { Writer } from './writer.ts'

export const textFormats = ['text', 'json', 'cast'] as const
export type TextFormat = (typeof textFormats)[number]

/** What JSON leaves as it is and a terminal would act on. */
const active = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g
const escaped = (value: unknown): string =>
  JSON.stringify(value).replace(active, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

const seconds = (ms: number): number => ms / 1000

/** asciicast v2 without keyframes. */
const castWriter = (): Writer => ({
  head({ columns, rows, started, title, command, term, durationMs }) {
    const header = {
      version: 2,
      width: columns,
      height: rows,
      ...(started === undefined ? {} : { timestamp: Math.floor(started.getTime() / 1000) }),
      ...(durationMs === undefined ? {} : { duration: seconds(durationMs) }),
      ...(command === undefined ? {} : { command }),
      ...(title === undefined ? {} : { title }),
      ...(term === undefined ? {} : { env: { TERM: term } }),
    }
    return `${escaped(header)}\n`
  },
  entry(entry) {
    switch (entry.type) {
      case 'output':
        return `${escaped([seconds(entry.atMs), 'o', entry.text])}\n`
      case 'resize':
        return `${escaped([seconds(entry.atMs), 'r', `${entry.columns}x${entry.rows}`])}\n`
      case 'mark':
        return `${escaped([seconds(entry.atMs), 'm', entry.text])}\n`
      case 'damage':
        return `${escaped([seconds(entry.atMs), 'm', `damaged: ${entry.text}`])}\n`
      case 'keyframe':
        return ''
      default:
        return entry satisfies never
    }
  },
  tail: () => '',
})

/** One object a line: `time` in seconds, `type`, and `data` or the size. */
const jsonWriter = (): Writer => ({
  head: () => '',
  entry(entry) {
    if (entry.type === 'keyframe') return ''
    const { type, atMs } = entry
    const rest = entry.type === 'resize' ? { columns: entry.columns, rows: entry.rows } : { data: entry.text }
    return `${escaped({ time: seconds(atMs), type, ...rest })}\n`
  },
  tail: () => '',
})

export function formatWriter(format: TextFormat): Writer {
  switch (format) {
    case 'cast':
      return castWriter()
    case 'json':
      return jsonWriter()
    case 'text':
      return new Transcript()
    default:
      return format satisfies never
  }
}
