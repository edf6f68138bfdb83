import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Transfer } from './transfer.ts'

const put = (transfer: Transfer, offset: number, content: Buffer): void => {
  transfer.begin(BigInt(offset), content.length)
  // In two pieces, as the network gives it.
  const middle = content.length >> 1
  for (const piece of [content.subarray(0, middle), content.subarray(middle)]) {
    if (piece.length > 0) transfer.piece(piece)
  }
  transfer.finishPiece()
}

describe('Transfer', () => {
  test('pieces in any order have the hash of the whole', () => {
    const input = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(input, fc.infiniteStream(fc.nat()), (contents, random) => {
        let offset = 0
        const pieces = contents.map((bytes) => {
          const at = offset
          offset += bytes.length
          return { at, content: Buffer.from(bytes), order: Number(random.next().value ?? 0) }
        })
        const transfer = new Transfer()
        for (const { at, content } of pieces.toSorted((a, b) => a.order - b.order)) put(transfer, at, content)
        const whole = Buffer.concat(contents)
        expect(transfer.bytes).toBe(whole.length)
        expect(transfer.end).toBe(BigInt(whole.length))
        expect(transfer.digest()).toBe(createHash('sha256').update(whole).digest('hex'))
      }),
    )
  })

  test('nothing has the hash of nothing', () => {
    expect(new Transfer().digest()).toBe(createHash('sha256').digest('hex'))
  })

  test('what is missing, or too far ahead, leaves no hash and no memory', () => {
    const hole = new Transfer()
    put(hole, 10, Buffer.alloc(5))
    expect(hole.end).toBeUndefined()
    expect(hole.digest()).toBeUndefined()
    const ahead = new Transfer()
    const piece = Buffer.alloc(1024 * 1024)
    for (let index = 1; index < 8; index++) put(ahead, index * piece.length, piece)
    put(ahead, 0, piece)
    expect(ahead.bytes).toBe(8 * piece.length)
    expect(ahead.digest()).toBeUndefined()
  })
})
