/** A recording as a file. It is made in the page: the proxy neither expands nor keeps it. */

import { formatWriter } from '../../../src/audit/recording/play/formats.ts'
import { openRecording, type Summary } from './calls.ts'

/** Characters that are collected before they become a piece of the file, which browsers keep on the disk. */
const block = 1024 * 1024

export interface Exported {
  readonly file: Blob
  readonly damaged: number
}

/** Throws what the API throws. `progress`: from 0 to 1. */
export async function exportRecording(
  summary: Summary,
  format: 'cast' | 'text',
  progress: (part: number) => void,
  signal: AbortSignal,
): Promise<Exported> {
  const source = openRecording(summary, format === 'cast' ? 'export' : 'text')
  const type = format === 'cast' ? 'application/x-asciicast' : 'text/plain;charset=utf-8'
  const writer = formatWriter(format)
  const parts: Blob[] = []
  let text = writer.head({ ...source.header, durationMs: source.durationMs() })
  let damaged = 0
  try {
    for await (const entry of source.from(0, signal)) {
      if (entry.type === 'damage') damaged++
      text += await writer.entry(entry)
      if (text.length < block) continue
      parts.push(new Blob([text]))
      text = ''
      progress(summary.durationMs === 0 ? 1 : Math.min(1, entry.atMs / summary.durationMs))
    }
    text += await writer.tail()
    return { file: new Blob([...parts, text], { type }), damaged }
  } finally {
    await source.close()
  }
}

export function save(file: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
