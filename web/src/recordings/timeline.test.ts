import { describe, expect, test } from 'vitest'
import { actionOf } from './keys.ts'
import { maxMarks, Timeline } from './timeline.ts'

const size = { columns: 80, rows: 24 }
const piece = (index: number, textBytes = 100) => ({ index, fromMs: index * 1000, toMs: index * 1000 + 999, textBytes })

describe('marks', () => {
  test('who came and went, in order of time, whatever the order in which the pieces came', () => {
    const timeline = new Timeline()
    timeline.add(piece(7), '[7.5, "m", "bob left"]\n[7.6, "o", "x"]\n')
    timeline.add(piece(2), '{"version":2}\n[2.25, "o", "y"]\n[2.5, "m", "bob joined"]\n')
    timeline.add(piece(2), '[2.5, "m", "again"]\n')
    expect(timeline.marks(size)).toEqual([
      { atMs: 2500, kind: 'mark', text: 'bob joined' },
      { atMs: 7500, kind: 'mark', text: 'bob left' },
    ])
  })
  test('a size that was there already is none, and of a window that is dragged the last one counts', () => {
    const timeline = new Timeline()
    timeline.add(piece(0), '[0, "k", "screen"]\n[0, "r", "80x24"]\n')
    timeline.add(piece(3), '[3.0, "r", "81x24"]\n[3.1, "r", "90x24"]\n[3.2, "r", "100x30"]\n')
    timeline.add(piece(9), '[9.0, "r", "100x30"]\n[9.1, "r", "80x24"]\n')
    expect(timeline.marks(size).map(({ atMs, text }) => `${atMs} ${text}`)).toEqual(['3200 100 × 30', '9100 80 × 24'])
  })
  test('lines that are no entries harm nothing, and there is an end to it', () => {
    const timeline = new Timeline()
    const many = Array.from({ length: 2000 }, (_, n) => `[${n / 1000}, "m", "<img src=x>"]`)
    timeline.add(piece(0), ['[1, "m"', '[1, "r", "0x0"]', 'rubbish', ...many].join('\n'))
    expect(timeline.marks(size)).toHaveLength(maxMarks)
  })
})

test('activity: quiet parts are low, busy ones high, a flood hides nobody', () => {
  const timeline = new Timeline()
  timeline.add(piece(0, 1000), '')
  timeline.add(piece(9, 1_000_000), '')
  const activity = timeline.activity(10_000, 10)
  expect(activity).toHaveLength(10)
  expect(activity[9]).toBe(1)
  expect(activity[0]).toBeGreaterThan(0.4)
  expect(activity.slice(1, 9).every((part) => part === 0)).toBe(true)
  expect(new Timeline().activity(0, 4)).toEqual([0, 0, 0, 0])
})

describe('keys', () => {
  const press = (key: string, more = {}) =>
    actionOf({ key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...more })
  test.each([
    [' ', {}, { type: 'pause' }],
    ['ArrowLeft', {}, { type: 'seek', by: -10_000 }],
    ['ArrowRight', { shiftKey: true }, { type: 'seek', by: 60_000 }],
    ['+', { shiftKey: true }, { type: 'faster' }],
    ['-', {}, { type: 'slower' }],
    ['End', {}, { type: 'end' }],
    ['f', {}, 'full'],
    ['f', { ctrlKey: true }, undefined],
    ['ArrowLeft', { altKey: true }, undefined],
    ['Tab', {}, undefined],
    ['x', {}, undefined],
  ])('%s %j', (key, more, wanted) => expect(press(key, more)).toEqual(wanted))
})
