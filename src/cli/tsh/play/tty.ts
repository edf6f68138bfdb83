/** The viewer's terminal while a recording plays in it. However the player ends, the terminal is as it was. */

import { writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { Player, type PlayerOptions, type PlayerState } from '../../../audit/recording/play/player.ts'
import type { Screen } from '../../../audit/recording/screen.ts'
import { realEnv } from '../../../common/env.ts'
import { rawTerminal } from '../ssh/raw-terminal.ts'
import { Display } from './display.ts'
import { KeyReader } from './keys.ts'
import { rowText } from './row-text.ts'

/** The alternate screen without automatic wrapping: the last column can be written without scrolling. */
const begin = '\u001b[?1049h\u001b[?7l\u001b[0m\u001b[2J'
const end = '\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l'

/** Why it ends before its end, and with which exit code. */
class Stopped extends Error {
  readonly code: number
  constructor(code: number) {
    super('the player was ended')
    this.code = code
  }
}

const stopSignals = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const

/** Plays on standard output, with keys from standard input if that is a terminal. Returns the exit code. */
export async function playOnTerminal(
  options: Pick<PlayerOptions, 'source' | 'speed' | 'skipIdle' | 'atMs'>,
): Promise<number> {
  const { stdin, stdout } = process
  const keyboard = stdin.isTTY ? rawTerminal() : undefined
  const stopping = new AbortController()
  const stop = (_: NodeJS.Signals, number: number) => stopping.abort(new Stopped(128 + number))
  const view = () => ({ columns: Math.max(1, stdout.columns || 80), rows: Math.max(1, stdout.rows || 24) })
  let shown = false
  const show = () => {
    keyboard?.enter()
    shown = true
    stdout.write(begin)
  }
  const restore = () => {
    if (!shown) return
    shown = false
    // At once: nothing may be lost when the process is about to end.
    try {
      writeSync(1, end)
    } catch {
      // The terminal is gone or does not take anything; there is nothing left to restore.
    }
    keyboard?.leave()
  }
  const display = new Display({ size: options.source.header, view: view(), write: writer(stopping.signal) })
  const { screen } = display
  const paint = (state: PlayerState) => display.paint(state)
  const player = new Player({ ...options, env: realEnv, screen, paint, turn: () => setImmediate() })
  const resize = () => {
    display.resize(view())
    player.repaint()
  }
  const keys = new KeyReader()
  const type = (data: Buffer) => {
    for (const action of keys.read(data.toString('latin1'))) {
      if (action.type === 'suspend') {
        restore()
        process.kill(process.pid, 'SIGSTOP')
      } else if (action.type === 'quit') stopping.abort(new Stopped(0))
      else player.press(action)
    }
  }
  const resume = () => {
    if (shown) return
    show()
    resize()
  }
  // The player's own timers do not hold the process.
  const alive = setInterval(() => undefined, 60_000)
  process.on('exit', restore)
  for (const signal of stopSignals) process.on(signal, stop)
  process.on('SIGCONT', resume)
  stdout.on('resize', resize)
  try {
    show()
    if (keyboard !== undefined) stdin.on('data', type).resume()
    // Output that takes long to interpret does not keep anybody from leaving.
    await Promise.race([player.run(stopping.signal), stopped(stopping.signal)])
    restore()
    stdout.write(lastScreen(screen))
    return 0
  } catch (error) {
    if (error instanceof Stopped) return error.code
    throw error
  } finally {
    restore()
    clearInterval(alive)
    stdin.off('data', type).pause()
    stdout.off('resize', resize)
    process.off('exit', restore).off('SIGCONT', resume)
    for (const signal of stopSignals) process.off(signal, stop)
    screen.dispose()
  }
}

/** Rejects with the signal's reason. */
const stopped = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

/** Writes to standard output and waits while the terminal does not read: frames are then left out, not queued. */
function writer(signal: AbortSignal): (text: string) => Promise<void> {
  return (text) =>
    new Promise((resolve) => {
      // Whoever has left sees no more of it.
      if (signal.aborted || process.stdout.write(text)) return resolve()
      process.stdout.once('drain', resolve)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
}

/** What stays on the terminal at the end: the rows of the last screen. */
function lastScreen(screen: Screen): string {
  const width = Math.max(1, process.stdout.columns || 80)
  const rows = Array.from({ length: screen.rows }, (_, row) => rowText(screen, row, 0, width))
  const used = rows.findLastIndex((row) => row !== '') + 1
  return rows
    .slice(0, used)
    .map((row) => `${row}\u001b[0m\r\n`)
    .join('')
}
