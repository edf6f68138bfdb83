/** Collects children that were started with `posix_spawn`, which Node.js does not know of: no zombies, exact exit results. */

import { constants } from 'node:os'
import type { ExitResult } from '../../ssh/connection/types.ts'
import { libc } from './libc.ts'

const WNOHANG = 1
/** Milliseconds between looks that no signal asked for. */
const lookEvery = 1000
const waiting = new Map<number, (result: ExitResult) => void>()
const status = Buffer.alloc(4)
let listening = false
let look: NodeJS.Timeout | undefined

/** To be called before the first child is started: one may end before its starter has its number. */
export function expectChildren(): void {
  if (listening) return
  listening = true
  process.on('SIGCHLD', sweep)
}

/**
 * Resolves when the child has ended. Must be called in the same turn in which the child was started. A session whose end is not noticed
 * would stay open for ever, so that a signal that did not arrive costs it a second at most.
 */
export function reap(pid: number): Promise<ExitResult> {
  look ??= setInterval(sweep, lookEvery).unref()
  return new Promise((resolve) => {
    waiting.set(pid, resolve)
  })
}

/** Children that still run. */
export function runningChildren(): number {
  return waiting.size
}

/** Signals coalesce, so each one looks at every child of ours; only ours, or Node.js would lose its own. */
function sweep(): void {
  const { functions } = libc()
  for (const [pid, resolve] of waiting) {
    const result = functions.waitpid(pid, status, WNOHANG)
    if (result === 0) continue
    waiting.delete(pid)
    resolve(result === pid ? decodeStatus(status.readInt32LE(0)) : { kind: 'exit', status: 255 })
  }
  if (waiting.size > 0) return
  clearInterval(look)
  look = undefined
}

/** The wait status of Linux as RFC 4254 section 6.10 wants it. */
function decodeStatus(value: number): ExitResult {
  const number = value & 0x7f
  if (number === 0) return { kind: 'exit', status: (value >> 8) & 0xff }
  return { kind: 'signal', signal: signalName(number), coreDumped: (value & 0x80) !== 0, message: '' }
}

const rfcSignals = ['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2']

/** RFC 4254 names thirteen signals; others need a domain. */
function signalName(number: number): string {
  for (const name of rfcSignals) if (signalNumber(name) === number) return name
  const other = Object.entries(constants.signals).find(([, value]) => value === number)
  return `${other?.[0].slice(3) ?? `SIG${number}`}@openssh.com`
}

/** Number of a signal that a client may send, from its name without SIG; undefined for others. */
export function signalNumber(name: string): number | undefined {
  if (!rfcSignals.includes(name)) return undefined
  return Object.entries(constants.signals).find(([key]) => key === `SIG${name}`)?.[1]
}
