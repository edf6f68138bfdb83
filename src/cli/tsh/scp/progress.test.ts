import { describe, expect, test } from 'vitest'
import { displayWidth } from '../../../common/text.ts'
import { Meter, meterLine } from './progress.ts'

describe('the line', () => {
  test.each([
    { name: 'half way', at: [50, 100, 1000, 'left'], says: /^file +50% +50B +50B\/s +00:01$/ },
    { name: 'an empty file is done', at: [0, 0, 10, 'elapsed'], says: /100% +0B +0B\/s +00:00$/ },
    { name: 'nothing yet', at: [0, 100, 0, 'left'], says: /0% .* --:--$/ },
    { name: 'for days', at: [1, 1e6, 1000, 'left'], says: /277:46:39$/ },
  ] as const)('$name', ({ at: [bytes, total, elapsed, time], says }) => {
    const line = meterLine('file', bytes, total, elapsed, time, 79)
    expect(line).toMatch(says)
    expect(line).toHaveLength(79)
  })

  test('a name that is long, wide or hostile keeps the width', () => {
    for (const name of ['x'.repeat(300), '漢字'.repeat(100), '\x1b[2J\r\nsecret']) {
      const line = meterLine(name, 1, 2, 3, 'left', 60)
      expect(displayWidth(line)).toBe(60)
      expect(line).not.toMatch(/[\x00-\x1f]/)
    }
  })
})

test('the meter shows the oldest file, one line for each that ends, and the total', () => {
  let now = 0
  let shown = ''
  const ticks: (() => void)[] = []
  const env = { monotonicMs: () => now, sleep: () => new Promise<void>((resolve) => void ticks.push(resolve)) }
  const write = (text: string) => {
    shown += text
  }
  const meter = new Meter({ write, columns: () => 60 }, env)
  const [a, b, c] = [meter.begin('a', 10), meter.begin('b', 20), meter.begin('c', 5)]
  a.add(10)
  b.add(20)
  c.add(1)
  now = 1000
  b.done()
  a.done()
  c.broken()
  meter.finish()
  const lines = shown.split('\n').map((line) => line.split('\r').at(-1) ?? '')
  expect(lines.map((line) => line.replaceAll(/\s+/g, ' ').trim())).toEqual([
    'b 100% 20B 20B/s 00:01',
    'a 100% 10B 10B/s 00:01',
    '2 files 100% 30B 30B/s 00:01',
    '',
  ])
})
