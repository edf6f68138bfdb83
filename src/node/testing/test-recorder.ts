/** A recorder for tests of sessions: keeps in memory what it was told, with the same screen as the real one. */

import { OutputText } from '../../audit/recording/write-cast.ts'
import { Screen } from '../recording/screen.ts'
import type { Recorder, SessionTap, TapOptions } from '../recording/types.ts'

class TestTap implements SessionTap {
  readonly options: TapOptions
  text = ''
  readonly marks: string[] = []
  readonly sizes: string[] = []
  participants: readonly string[] | undefined
  /** When set, `output` answers with it. */
  answer: (() => Promise<void> | undefined) | undefined
  readonly #decoder = new OutputText()
  readonly #screen: Screen
  #size: { readonly columns: number; readonly rows: number }

  constructor(options: TapOptions) {
    this.options = options
    this.#screen = new Screen(options.header)
    this.#size = options.header
  }

  output(data: Buffer): Promise<void> | undefined {
    if (this.participants !== undefined) return undefined
    const more = this.#decoder.push(data)
    this.text += more
    this.#screen.write(more)
    return this.answer?.()
  }

  resize(columns: number, rows: number): void {
    this.#size = { columns, rows }
    this.sizes.push(`${columns}x${rows}`)
    this.#screen.resize({ columns, rows })
  }

  mark(text: string): void {
    this.marks.push(text)
  }

  async screen() {
    const { columns, rows } = this.#size
    return { columns, rows, data: this.#screen.state().data }
  }

  async end(participants: readonly string[]): Promise<void> {
    this.participants ??= participants
    this.#screen.close()
  }
}

export class TestRecorder implements Recorder {
  readonly taps: TestTap[] = []
  /** When set, sessions cannot be recorded. */
  problem: Error | undefined
  readonly pendingBytes = 0

  async open(options: TapOptions): Promise<TestTap> {
    if (this.problem !== undefined) throw this.problem
    const tap = new TestTap(options)
    this.taps.push(tap)
    return tap
  }

  async close(): Promise<void> {}
}
