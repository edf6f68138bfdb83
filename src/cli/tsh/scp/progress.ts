/** The progress line of scp: name, percent, bytes, rate and time left; and one line for everything when there were several files. */

import { formatBytes } from '../../../common/bytes.ts'
import type { Env } from '../../../common/env.ts'
import { displayWidth } from '../../../common/text.ts'
import { printable } from '../../common/printable.ts'

export interface FileProgress {
  readonly bytes: number
  add(count: number): void
  done(): void
  /** It will not be finished. */
  broken(): void
}

export interface Progress {
  begin(name: string, size: number): FileProgress
  /** Something else is about to be printed on the terminal. */
  interrupt(): void
  /** After the last file. */
  finish(): void
}

class Counter implements FileProgress {
  bytes = 0
  add(count: number): void {
    this.bytes += count
  }
  done(): void {}
  broken(): void {}
}

/** With `-q`, or when nobody watches. */
export const noProgress: Progress = { begin: () => new Counter(), interrupt: () => {}, finish: () => {} }

export interface Screen {
  write(text: string): void
  columns(): number
}

/** Milliseconds between two drawings, as scp. */
const interval = 1000

export class Meter implements Progress {
  readonly #screen: Screen
  readonly #env: Pick<Env, 'monotonicMs' | 'sleep'>
  readonly #started: number
  readonly #stop = new AbortController()
  readonly #open: MeterLine[] = []
  #files = 0
  #bytes = 0
  #drawn = false

  constructor(screen: Screen, env: Pick<Env, 'monotonicMs' | 'sleep'>) {
    this.#screen = screen
    this.#env = env
    this.#started = env.monotonicMs()
    void this.#tick()
  }

  begin(name: string, size: number): FileProgress {
    const line = new MeterLine(name, size, this.#env.monotonicMs(), (state) => this.#ended(line, state))
    this.#open.push(line)
    if (this.#open[0] === line) this.#draw(line)
    return line
  }

  interrupt(): void {
    if (this.#drawn) this.#screen.write('\r\x1b[K')
    this.#drawn = false
  }

  finish(): void {
    this.#stop.abort()
    this.interrupt()
    if (this.#files < 2) return
    const elapsed = this.#env.monotonicMs() - this.#started
    this.#screen.write(
      `${meterLine(`${this.#files} files`, this.#bytes, this.#bytes, elapsed, 'elapsed', this.#width())}\n`,
    )
  }

  async #tick(): Promise<void> {
    try {
      for (;;) {
        await this.#env.sleep(interval, this.#stop.signal)
        const [first] = this.#open
        if (first !== undefined) this.#draw(first)
      }
    } catch {
      // Stopped.
    }
  }

  #ended(line: MeterLine, state: 'done' | 'broken'): void {
    this.#open.splice(this.#open.indexOf(line), 1)
    if (state === 'done') {
      this.#files++
      this.#bytes += line.bytes
      this.#screen.write(`${this.#drawn ? '\r' : ''}${this.#text(line, 'elapsed')}\n`)
      this.#drawn = false
    } else this.interrupt()
  }

  #draw(line: MeterLine): void {
    this.#screen.write(`\r${this.#text(line, 'left')}`)
    this.#drawn = true
  }

  #text(line: MeterLine, time: 'left' | 'elapsed'): string {
    const elapsed = this.#env.monotonicMs() - line.started
    return meterLine(line.name, line.bytes, Math.max(line.size, line.bytes), elapsed, time, this.#width())
  }

  #width(): number {
    // One less: writing in the last column makes some terminals go to the next line.
    return Math.max(20, this.#screen.columns() - 1)
  }
}

class MeterLine extends Counter {
  readonly name: string
  readonly size: number
  readonly started: number
  readonly #ended: (state: 'done' | 'broken') => void

  constructor(name: string, size: number, started: number, ended: (state: 'done' | 'broken') => void) {
    super()
    this.name = name
    this.size = size
    this.started = started
    this.#ended = ended
  }

  override done(): void {
    this.#ended('done')
  }

  override broken(): void {
    this.#ended('broken')
  }
}

/** `name  42%  123MB  10.1MB/s   00:12`, exactly `width` columns. `elapsedMs` gives rate and time left. */
export function meterLine(
  name: string,
  bytes: number,
  total: number,
  elapsedMs: number,
  time: 'left' | 'elapsed',
  width: number,
): string {
  const percent = total === 0 ? 100 : Math.floor((bytes / total) * 100)
  const rate = bytes / Math.max(elapsedMs / 1000, 0.001)
  const seconds = time === 'elapsed' ? elapsedMs / 1000 : rate > 0 ? (total - bytes) / rate : undefined
  const clock = seconds === undefined ? '--:--' : formatClock(seconds)
  const right = ` ${String(percent).padStart(3)}% ${column(bytes)} ${column(rate)}/s ${clock.padStart(7)}`
  return padTo(printable(name), Math.max(8, width - right.length)) + right
}

/** Cut or padded to so many columns. */
function padTo(text: string, width: number): string {
  let [cut, used] = ['', 0]
  for (const char of text) {
    const columns = displayWidth(char)
    if (used + columns > width) break
    cut += char
    used += columns
  }
  return cut + ' '.repeat(width - used)
}

const column = (bytes: number): string => formatBytes(bytes).padStart(6)

/** `mm:ss`, from an hour on `h:mm:ss`. */
function formatClock(seconds: number): string {
  const whole = Math.min(Math.round(seconds), 359_999_999)
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${two(minutes)}:${two(rest)}`
}
