import { expect, test } from 'vitest'
import { lastWords } from './failures-last.ts'

const failure = (what: string, message?: string, ...files: readonly string[]) => ({
  what,
  causes: [
    { ...(message === undefined ? {} : { message }), stacks: files.map((file, index) => ({ file, line: 7 + index })) },
  ],
})

const rows = [
  { name: 'nothing failed, nothing to say', failures: [], said: '' },
  {
    name: 'what failed, with the first line of the reason, the place in the test, and the last line of what a program said',
    failures: [
      failure(
        'e2e test/a.test.ts > b',
        '\x1b[31mno end\x1b[39m\nlong\nlast',
        '/root/test/run.ts',
        '/root/test/a.test.ts',
      ),
    ],
    said: '\nFAILED: 1\n× e2e test/a.test.ts > b\n    no end (test/a.test.ts:8)\n    … last\n',
  },
  {
    name: 'the place in a helper when no test is known',
    failures: [failure('a', 'no end', '/root/test/run.ts')],
    said: '\nFAILED: 1\n× a\n    no end (test/run.ts:7)\n',
  },
  {
    name: 'a failure without a reason, in a package',
    failures: [failure('x', undefined, '/root/node_modules/y/z.js')],
    said: '\nFAILED: 1\n× x\n    no reason given\n',
  },
]
test.each(rows)('$name', ({ failures, said }) => expect(lastWords(failures, '/root')).toBe(said))

test('thousands of failures fit into the end that is kept', () => {
  const words = lastWords(
    Array.from({ length: 2000 }, (_, n) => failure(`test ${n}`, 'x'.repeat(n))),
    '/root',
  )
  expect(words.split('\n').length).toBeLessThanOrEqual(33)
  expect(Buffer.byteLength(words)).toBeLessThan(3500)
  expect(words).toContain('more, above.')
})
