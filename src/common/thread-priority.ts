/** Work that may wait gives way to work that somebody waits for. */

import { setPriority } from 'node:os'

/**
 * Makes the calling thread nicer. On Linux a priority belongs to a thread, and 0 names the one that calls; what it starts later
 * inherits it. Where that is not allowed, everything works as before.
 */
export function yieldToOthers(nice: number): void {
  // Elsewhere it would be the whole process.
  if (process.platform !== 'linux') return
  try {
    setPriority(0, nice)
  } catch {
    // A sandbox forbids it.
  }
}
