import { expect, test } from 'vitest'
import { bucketsOf, seriesOf } from './buckets.ts'
import { localTime, queryOf, readFilters } from './filters.ts'

test.each([
  { name: 'nothing', search: {}, filters: {} },
  { name: 'words, and a number that is one', search: { text: 'rm', user: 42 }, filters: { text: 'rm', user: '42' } },
  { name: 'a range that there is', search: { range: '7d' }, filters: { range: '7d' } },
  { name: 'no other range', search: { range: 'ever' }, filters: {} },
  { name: 'no times without the range for them', search: { from: '2030-01-01T00:00:00Z' }, filters: {} },
  {
    name: 'times that can be read',
    search: { range: 'custom', from: '2030-01-01T00:00:00Z', to: 'tomorrow' },
    filters: { range: 'custom', from: '2030-01-01T00:00:00.000Z' },
  },
  { name: 'nothing that is no text', search: { user: { a: 1 }, text: ['x'], session: true }, filters: {} },
  { name: 'nothing that is too long', search: { session: 'x'.repeat(65) }, filters: {} },
])('the address gives $name', ({ search, filters }) => expect(readFilters(search)).toEqual(filters))

test('a range counts back from now, and the last day where none is named', () => {
  const now = Date.parse('2030-01-02T00:00:00Z')
  expect(queryOf({}, now)).toEqual({ from: '2030-01-01T00:00:00.000Z' })
  expect(queryOf({ range: '1h', user: 'a' }, now)).toEqual({ user: 'a', from: '2030-01-01T23:00:00.000Z' })
  expect(queryOf({ range: 'all', text: 'x' }, now)).toEqual({ text: 'x' })
})

test('a time goes to the input of this place and back', () => {
  const iso = '2030-01-02T03:04:00.000Z'
  expect(new Date(localTime(iso)).toISOString()).toBe(iso)
  expect(localTime(undefined)).toBe('')
})

test.each([
  { event: 'user.login', code: 'T1000I', series: 'logins' },
  { event: 'user.login', code: 'T1000W', series: 'failures' },
  { event: 'session.start', code: 'T2000I', series: 'sessions' },
  { event: 'auth', code: 'T3007W', series: 'failures' },
  { event: 'resize', code: 'T2002I', series: undefined },
])('$code counts as $series', ({ event, code, series }) => expect(seriesOf({ event, code, time: '' })).toBe(series))

test('events are counted in the span that they fall into, the last one with its end', () => {
  const at = (ms: number) => ({ event: 'user.login', code: 'T1000I', time: new Date(ms).toISOString() })
  const buckets = bucketsOf([at(0), at(9), at(10), at(40)], 0, 40, 4)
  expect(buckets.map(({ start, logins }) => [start, logins])).toEqual([
    [0, 2],
    [10, 1],
    [20, 0],
    [30, 1],
  ])
})
