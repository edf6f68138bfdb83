import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import { poll } from '../testing/poll.ts'
import { type Watcher, watchedReadable, watchedWritable } from './watched-streams.ts'

class Gate implements Watcher {
  isReady = true
  seen = 0
  #waiting: (() => void)[] = []

  look(chunk: Buffer): void {
    this.seen += chunk.length
  }

  whenReady(callback: () => void): void {
    if (this.isReady) callback()
    else this.#waiting.push(callback)
  }

  open(): void {
    this.isReady = true
    for (const callback of this.#waiting.splice(0)) callback()
  }
}

const chunks = Array.from({ length: 200 }, (_, index) => Buffer.alloc(10_000, index))
const whole = Buffer.concat(chunks)
const all = async (stream: Readable): Promise<Buffer> => Buffer.concat(await stream.toArray())

describe('watched streams', () => {
  test('give the same bytes, and their ends', async () => {
    const [to, from] = [new Gate(), new Gate()]
    const [stdin, stdout] = [new PassThrough(), new PassThrough()]
    const arrived = all(stdin)
    await pipeline(Readable.from(chunks), watchedWritable(stdin, to))
    expect((await arrived).equals(whole)).toBe(true)
    const read = all(watchedReadable(stdout, from))
    await pipeline(Readable.from(chunks), stdout)
    expect((await read).equals(whole)).toBe(true)
    expect([to.seen, from.seen]).toEqual([whole.length, whole.length])
  })

  test('stop while the watcher cannot take more, with bounded memory, and go on', async () => {
    for (const direction of ['to', 'from']) {
      const gate = new Gate()
      gate.isReady = false
      const inner = new PassThrough()
      const outer = direction === 'to' ? watchedWritable(inner, gate) : watchedReadable(inner, gate)
      const result = all(direction === 'to' ? inner : (outer as Readable))
      const target = direction === 'to' ? (outer as ReturnType<typeof watchedWritable>) : inner
      const done = pipeline(Readable.from(chunks), target)
      await poll(() => target.writableNeedDrain).toBe(true)
      expect(gate.seen).toBeLessThan(whole.length / 4)
      gate.open()
      await done
      expect((await result).equals(whole)).toBe(true)
    }
  })

  test('a program that is gone closes them, and they close a program', async () => {
    const inner = new PassThrough()
    const outer = watchedWritable(inner, new Gate())
    inner.destroy()
    await poll(() => outer.destroyed).toBe(true)
    const source = new PassThrough()
    const reader = watchedReadable(source, new Gate())
    source.destroy()
    await poll(() => reader.destroyed).toBe(true)
    const other = new PassThrough()
    watchedReadable(other, new Gate()).destroy()
    await poll(() => other.destroyed).toBe(true)
  })
})
