import { expect, test } from 'vitest'
import { joinCommand, labelsOf } from './join-command.ts'

const plain = { roles: ['node'], token: 'abc', caPins: ['sha256:00'], authServer: '10.0.0.1:3025', labels: {} }

test('is one flag a line, as tctl prints it', () => {
  expect(joinCommand({ ...plain, labels: { env: 'dev', a: 'b' } })).toBe(
    'teleport start \\\n   --roles=node \\\n   --token=abc \\\n   --ca-pin=sha256:00 \\\n   --auth-server=10.0.0.1:3025 \\\n   --labels=env=dev,a=b',
  )
})

test.each(['$(reboot)', '; reboot', "it's", '`id`', 'a b', '\n'])('%j stays one word of the shell', (value) => {
  const { length } = joinCommand(plain)
  expect(joinCommand({ ...plain, labels: { a: value } }).slice(length)).toBe(
    ` \\\n   '--labels=a=${value.replaceAll("'", `'\\''`)}'`,
  )
})

test.each([
  { words: ['a=b', 'c=d=e'], read: { labels: { a: 'b', c: 'd=e' } } },
  { words: ['a='], read: { labels: { a: '' } } },
  { words: ['a'], read: { bad: 'a' } },
  { words: ['=b'], read: { bad: '=b' } },
  { words: ['a=b,c'], read: { bad: 'a=b,c' } },
])('$words', ({ words, read }) => expect(labelsOf(words)).toEqual(read))
