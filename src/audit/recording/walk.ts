/** Walks over all files of the directory store. */

import { opendir } from 'node:fs/promises'
import { messageOf } from '../../errors/system.ts'
import { firstLink } from './chain.ts'
import { months, parseFileName } from './disk.ts'
import { loadState, summaryOf } from './load.ts'
import type { RecordingSummary } from './types.ts'

async function* filesOf(directory: string) {
  for await (const entry of await opendir(directory, { bufferSize: 256 })) {
    const file = parseFileName(entry.name)
    if (file !== undefined) yield file
  }
}

/**
 * Oldest first. One that cannot be read comes as interrupted, with the reason as its failure and the month as its start: `verify` shall
 * be asked about it.
 */
export async function* allRecordings(root: string): AsyncGenerator<RecordingSummary> {
  for (const directory of await months(root)) {
    const found: RecordingSummary[] = []
    for (const sid of await idsIn(directory)) found.push(await summaryOrReason(directory, sid))
    yield* found.sort((a, b) => Date.parse(a.started) - Date.parse(b.started))
  }
}

/** Ids of which there is any file, unless they are on their way out. */
async function idsIn(directory: string): Promise<ReadonlySet<string>> {
  const ids = new Set<string>()
  const leaving = new Set<string>()
  for await (const { sid, extension } of filesOf(directory)) (extension === 'removing' ? leaving : ids).add(sid)
  return ids.difference(leaving)
}

async function summaryOrReason(directory: string, sid: string): Promise<RecordingSummary> {
  try {
    return summaryOf(await loadState(directory, sid))
  } catch (error) {
    return {
      sid,
      user: '',
      login: '',
      serverId: '',
      serverHostname: '',
      started: `${directory.slice(-7)}-01T00:00:00.000Z`,
      interactive: false,
      columns: 0,
      rows: 0,
      state: 'interrupted',
      durationMs: 0,
      chunks: 0,
      bytes: 0,
      chain: firstLink(sid),
      participants: [],
      failure: messageOf(error),
    }
  }
}

/** Ids of all recordings with their directories, whatever state they are in. */
export async function* recordingIds(
  root: string,
): AsyncGenerator<{ readonly directory: string; readonly sid: string }> {
  for (const directory of await months(root)) {
    for await (const { sid, extension } of filesOf(directory)) if (extension === 'index') yield { directory, sid }
  }
}

/** What ended in the middle: complete recordings of which nobody was told, and those on their way out. */
export async function* findUnfinished(
  root: string,
): AsyncGenerator<{ readonly directory: string; readonly sid: string; readonly removing: boolean }> {
  for (const directory of await months(root)) {
    for await (const { sid, extension } of filesOf(directory)) {
      if (extension === 'end' || extension === 'removing') yield { directory, sid, removing: extension === 'removing' }
    }
  }
}
