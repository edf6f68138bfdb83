import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CopySink, type CopySource, copyPipelined } from './pipeline.ts'

const content = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251))

/** Answers with as many bytes as `most` says, and remembers how many questions were open at once. */
function source(most: (length: number) => number, bytes = content) {
  const seen = { open: 0, most: 0 }
  const read: CopySource['read'] = async (offset, length) => {
    seen.open++
    seen.most = Math.max(seen.most, seen.open)
    await Promise.resolve()
    seen.open--
    const size = Math.min(length, Math.max(1, most(length)))
    return offset >= bytes.length ? undefined : bytes.subarray(offset, offset + size)
  }
  return { read, seen }
}

function sink(size = 2000) {
  const memory = Buffer.alloc(size)
  const write: CopySink['write'] = async (offset, data) => void data.copy(memory, offset)
  return { write, memory }
}

describe('a file in pieces', () => {
  test('arrives whole, whatever the pieces and answers are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 1200 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 900 }),
        fc.integer({ min: 1, max: 300 }),
        fc.boolean(),
        async (size, chunk, window, most, isKnown) => {
          const bytes = content.subarray(0, size)
          const to = sink()
          const options = { size: isKnown ? size : undefined, chunk, window }
          const copied = await copyPipelined(
            source(() => most, bytes),
            to,
            options,
          )
          expect(copied).toBe(bytes.length)
          expect(to.memory.subarray(0, copied).equals(bytes)).toBe(true)
        },
      ),
    )
  })

  test.each([
    { name: 'as many as the window holds', chunk: 100, window: 350, most: 3 },
    { name: 'one, if the window is smaller than a piece', chunk: 100, window: 10, most: 1 },
    { name: 'no more than there are', chunk: 400, window: 100_000, most: 3 },
  ])('questions at once: $name', async ({ chunk, window, most }) => {
    const from = source((length) => length)
    await copyPipelined(from, sink(), { size: content.length, chunk, window })
    expect(from.seen.most).toBe(most)
  })

  test('is no longer than was asked for', async () => {
    const to = sink()
    expect(
      await copyPipelined(
        source((length) => length),
        to,
        { size: 10, chunk: 100, window: 100 },
      ),
    ).toBe(10)
    expect(to.memory.subarray(10).every((byte) => byte === 0)).toBe(true)
  })

  test('is written in its order, whatever the order of the answers', async () => {
    const offsets: number[] = []
    const waiting: (() => void)[] = []
    const read: CopySource['read'] = async (offset, length) => {
      // The later one is answered first.
      if (offset % 200 === 0) await new Promise<void>((resolve) => void waiting.push(resolve))
      else for (const resolve of waiting.splice(0)) resolve()
      return content.subarray(offset, offset + length)
    }
    const write: CopySink['write'] = async (offset) => void offsets.push(offset)
    await copyPipelined({ read }, { write }, { size: 1000, chunk: 100, window: 400 })
    expect(offsets).toEqual(Array.from({ length: 10 }, (_, index) => index * 100))
  })

  test('the first error ends it, when nothing is under way any more', async () => {
    const from = source((length) => length)
    let written = 0
    const write = async () => {
      if (++written === 3) throw new Error('disk full')
      if (written > 3) throw new Error('a later one')
    }
    await expect(copyPipelined(from, { write }, { size: 1000, chunk: 10, window: 50 })).rejects.toThrow('disk full')
    expect(from.seen.open).toBe(0)
    expect(written).toBeLessThan(15)
  })
})
