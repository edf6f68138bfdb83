import { expect, test } from 'vitest'
import { durationText, readMode } from './since.ts'

test.each([
  [-5000, 'less than a minute'],
  [59_999, 'less than a minute'],
  [60_000, '1 min'],
  [3_599_999, '59 min'],
  [3_900_000, '1 h 05 min'],
  [86_400_000 * 4 + 3_600_000 * 3, '4 d 3 h'],
])('%i', (ms, wanted) => expect(durationText(ms)).toBe(wanted))

test.each([
  [{ mode: 'observer' }, { mode: 'observer' }],
  [{ mode: 'root' }, {}],
  [{ mode: ['peer'] }, {}],
  [{}, {}],
])('a mode %j', (given, wanted) => expect(readMode(given)).toEqual(wanted))
