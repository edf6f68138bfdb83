import { describe, expect, test } from 'vitest'
import { paletteColour, shownPart } from './draw.ts'
import { readAt, readFilters } from './filters.ts'
import { tellingMoment } from './thumbnail.tsx'

test.each([
  [{}, {}],
  [
    { search: 'ls /etc', user: 'alice', node: 'db-1' },
    { search: 'ls /etc', user: 'alice', node: 'db-1' },
  ],
  [{ search: ' ', user: '', other: 'x' }, {}],
  [{ search: 42 }, { search: '42' }],
  [{ search: { a: 1 }, user: ['x'], node: null }, {}],
  [{ search: 'x'.repeat(257) }, {}],
  [
    { from: '2026-11-01', to: '2026-11-28' },
    { from: '2026-11-01', to: '2026-11-28' },
  ],
  [{ from: 'yesterday', to: '2026-13-45' }, {}],
])('filters %j', (given, wanted) => expect(readFilters(given)).toEqual(wanted))

test.each([
  [{ at: 41 }, { at: 41 }],
  [{ at: '41.26' }, { at: 41.3 }],
  [{ at: -1 }, {}],
  [{ at: 'soon' }, {}],
  [{ at: '' }, {}],
  [{ at: 1e12 }, {}],
  [{}, {}],
])('a position %j', (given, wanted) => expect(readAt(given)).toEqual(wanted))

describe('pictures', () => {
  test.each([
    [0, '#2e3436'],
    [15, '#ffffff'],
    [16, 'rgb(0 0 0)'],
    [196, 'rgb(255 0 0)'],
    [231, 'rgb(255 255 255)'],
    [232, 'rgb(8 8 8)'],
    [255, 'rgb(238 238 238)'],
  ])('colour %i', (index, wanted) => expect(paletteColour(index)).toBe(wanted))
  test.each([
    ['an empty one', 80, 24, [], { columns: 56, rows: 16 }],
    ['a small one', 20, 5, ['x'], { columns: 20, rows: 5 }],
    ['a full one', 80, 24, Array.from({ length: 24 }, () => 'x'.repeat(80)), { columns: 80, rows: 24 }],
    ['a huge one', 300, 90, Array.from({ length: 90 }, () => 'x'.repeat(300)), { columns: 132, rows: 50 }],
  ])('of a screen the part with something on it: %s', (_, columns, rows, lines, wanted) => {
    expect(shownPart({ columns, rows, lines: () => lines })).toEqual(wanted)
  })
  test('show the first hit, or the later part of the session', () => {
    expect(tellingMoment({ durationMs: 10_000 })).toBe(7000)
    expect(tellingMoment({ durationMs: 10_000, matches: [{ atMs: 1234, text: 'x' }] })).toBe(1234)
  })
})
