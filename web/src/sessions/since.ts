/** How long ago something began, for people: `3 min`, `2 h 05 min`, `4 d 3 h`. */

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Milliseconds. Clocks differ a little: what begins in the future begins now. */
export function durationText(ms: number): string {
  if (ms < minute) return 'less than a minute'
  if (ms < hour) return `${Math.floor(ms / minute)} min`
  if (ms < day) return `${Math.floor(ms / hour)} h ${String(Math.floor((ms % hour) / minute)).padStart(2, '0')} min`
  return `${Math.floor(ms / day)} d ${Math.floor((ms % day) / hour)} h`
}

const modes = ['peer', 'observer', 'moderator'] as const

/** How to join, from the address, whoever wrote it. */
export function readMode(search: Readonly<Record<string, unknown>>): { mode?: (typeof modes)[number] } {
  const mode = modes.find((one) => one === search.mode)
  return mode === undefined ? {} : { mode }
}
