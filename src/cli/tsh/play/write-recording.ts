/** Writes a whole recording in a text format. */

import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { formatWriter, type TextFormat } from '../../../audit/recording/play/formats.ts'
import type { PlaySource } from '../../../audit/recording/play/source.ts'

/** Characters that are collected before they are written. */
const block = 64 * 1024

/**
 * Returns the exit code: 1 when parts of the recording could not be read, of which standard error tells. `progress` is told the
 * time in the recording, in milliseconds.
 */
export async function writeRecording(
  source: PlaySource,
  format: TextFormat,
  out: Writable,
  progress: (atMs: number) => void = () => undefined,
): Promise<number> {
  await source.settled()
  const writer = formatWriter(format)
  const { header } = source
  const durationMs = Math.max(header.durationMs ?? 0, source.durationMs())
  let text = writer.head({ ...header, durationMs })
  let damaged = 0
  for await (const entry of source.from(0, new AbortController().signal)) {
    if (entry.type === 'damage') damaged++
    text += await writer.entry(entry)
    if (text.length < block && !source.growing()) continue
    await write(out, text)
    text = ''
    progress(entry.atMs)
  }
  await write(out, text + (await writer.tail()))
  if (damaged === 0) return 0
  process.stderr.write(`warning: ${damaged} ${damaged === 1 ? 'piece' : 'pieces'} of the recording could not be read\n`)
  return 1
}

async function write(out: Writable, text: string): Promise<void> {
  if (text === '' || out.write(text)) return
  await once(out, 'drain')
}
