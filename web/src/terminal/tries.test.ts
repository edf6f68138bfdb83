import { expect, test } from 'vitest'
import { waitBefore } from './tries.ts'

test.each([
  { name: 'the first try is at once', tries: 0, lostFor: 0, keep: 60, wait: 0 },
  { name: 'later ones wait longer', tries: 3, lostFor: 5_000, keep: 60, wait: 2_000 },
  { name: 'but never longer than five seconds', tries: 100, lostFor: 59_000, keep: 60, wait: 5_000 },
  { name: 'the server may have noticed later', tries: 100, lostFor: 119_000, keep: 60, wait: 5_000 },
  { name: 'there is nothing to come back to in the end', tries: 100, lostFor: 121_000, keep: 60, wait: undefined },
  { name: 'where sessions end with their connection, it is not tried', tries: 0, lostFor: 0, keep: 0, wait: undefined },
])('$name', ({ tries, lostFor, keep, wait }) => expect(waitBefore(tries, lostFor, keep)).toBe(wait))
