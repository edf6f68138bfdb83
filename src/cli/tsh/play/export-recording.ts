/** `recordings export` of tsh and tctl. */

import type { Writable } from 'node:stream'
import type { ApiClient } from '../../../api/client.ts'
import { clockTime } from '../../../audit/recording/play/clock-time.ts'
import { textFormats } from '../../../audit/recording/play/formats.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { writeOutputFile } from '../../common/output-file.ts'
import { printable } from '../../common/printable.ts'
import type { OptionValues } from '../../common/spec.ts'
import { openServerSource } from './server-source.ts'
import { sessionOf } from './target.ts'
import { writeRecording } from './write-recording.ts'

const extensions = { cast: 'cast', text: 'txt', json: 'json' } as const

/** Throws BadParameter, AlreadyExists for the file, and what the API throws. Returns the exit code. */
export async function exportRecording(
  api: Pick<ApiClient, 'call' | 'stream'>,
  options: OptionValues,
  given: string,
): Promise<number> {
  const sid = sessionOf(given)
  if (sid === undefined) throw new BadParameter('session', `${printable(given)} is no session id; see: recordings ls`)
  const format = textFormats.find((each) => each === options.string('format')) ?? 'cast'
  const out = options.string('out') ?? `${sid}.${extensions[format]}`
  const source = await openServerSource({ api, sid, action: 'export' })
  try {
    if (out === '-') return await writeRecording(source, format, process.stdout)
    const progress = progressLine(source.durationMs())
    const code = await writeOutputFile(out, options.flag('overwrite'), async (file: Writable) => {
      try {
        return await writeRecording(source, format, file, progress.show)
      } finally {
        progress.clear()
      }
    })
    process.stdout.write(`${printable(out)}\n`)
    return code
  } finally {
    await source.close()
  }
}

/** How far it is, for a person who waits; a few times a second at most. */
function progressLine(durationMs: number) {
  const { stderr } = process
  let last = ''
  return {
    show(atMs: number) {
      const percent = durationMs === 0 ? 100 : Math.min(100, Math.floor((100 * atMs) / durationMs))
      const line = `${String(percent).padStart(3)} %  ${clockTime(atMs)} / ${clockTime(durationMs)}`
      if (!stderr.isTTY || line === last) return
      last = line
      stderr.write(`\r${line}`)
    },
    clear() {
      if (last !== '') stderr.write(`\r${' '.repeat(last.length)}\r`)
    },
  }
}
