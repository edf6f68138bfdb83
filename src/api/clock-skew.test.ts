import { expect, test } from 'vitest'
import type { Logger } from '../common/log.ts'
import { clockWatch, describeSkew } from './clock-skew.ts'

test.each([
  [31_000, '31 s behind'],
  [-119_000, '119 s ahead of'],
  [300_000, '5 min behind'],
  [-7_200_000, '2 h ahead of'],
])('%d ms: %s', (skew, text) => expect(describeSkew(skew)).toBe(text))

test('a difference is told once, when it changes, and when it has gone', () => {
  const lines: string[] = []
  const log = (message: string) => void lines.push(message.slice(0, 48))
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger }
  const watch = clockWatch(logger)
  for (const seconds of [0, 20, -30, 31, 33, 25, 0, -40, -45, -69, -71, -300]) watch(seconds * 1000)
  expect(lines).toEqual([
    'the clock of this machine is 31 s behind the aut',
    'the clock of this machine agrees with the auth s',
    'the clock of this machine is 40 s ahead of the a',
    'the clock of this machine is 71 s ahead of the a',
    'the clock of this machine is 5 min ahead of the ',
  ])
})
