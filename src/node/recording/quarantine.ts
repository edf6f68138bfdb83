/** Where recordings go that auth refuses: kept for a person to look at, within a limit. */

import * as fs from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ensurePrivateDir } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import { messageOf } from '../../errors/system.ts'

export interface Quarantine {
  /** Takes the files. Never throws: what cannot be moved stays. */
  take(paths: readonly string[]): Promise<void>
}

export function openQuarantine(dir: string, maxBytes: number, log: Logger): Quarantine {
  return {
    async take(paths) {
      try {
        await ensurePrivateDir(dir)
        for (const path of paths) await fs.rename(path, join(dir, basename(path)))
        await shrink(dir, maxBytes, log)
      } catch (error) {
        log.error('cannot move a refused recording into quarantine', { dir, reason: messageOf(error) })
      }
    },
  }
}

/** Removes the oldest files until the rest is small enough. */
async function shrink(dir: string, maxBytes: number, log: Logger): Promise<void> {
  const files: { readonly path: string; readonly bytes: number; readonly changed: number }[] = []
  for (const name of await fs.readdir(dir)) {
    const path = join(dir, name)
    const { size, mtimeMs } = await fs.lstat(path)
    files.push({ path, bytes: size, changed: mtimeMs })
  }
  let total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  for (const { path, bytes } of files.sort((a, b) => a.changed - b.changed)) {
    if (total <= maxBytes) return
    log.warn('the quarantine of recordings is full; the oldest was removed', { file: path })
    await fs.rm(path, { force: true })
    total -= bytes
  }
}
