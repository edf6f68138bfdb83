/** When a terminal that lost its connection tries to come back. Times are milliseconds. */

/** The server begins to count when it notices, which is later than here. */
const grace = 60_000
const waits = [0, 500, 1_000, 2_000, 3_000] as const
const longest = 5_000

/** How long to wait before try number `tries` (from 0); undefined: the server has closed the session by now. */
export function waitBefore(tries: number, lostFor: number, keepSeconds: number): number | undefined {
  if (keepSeconds === 0 || lostFor > keepSeconds * 1000 + grace) return undefined
  return waits[tries] ?? longest
}
