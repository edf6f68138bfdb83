import { expect, test } from 'vitest'
import { joined, partOf, pathOf } from './file-socket.ts'

test.each([
  { name: 'into the home directory', directory: '', file: 'a b.txt', path: 'a b.txt' },
  { name: 'the same, as people write it', directory: '~', file: 'a', path: 'a' },
  { name: 'below it', directory: '~/in/', file: 'a', path: 'in/a' },
  { name: 'anywhere else', directory: '/srv/x', file: 'ä<b>', path: '/srv/x/ä<b>' },
])('a file goes $name', ({ directory, file, path }) => expect(joined(directory, file)).toBe(path))

test.each(['', '.', '..', '../x', 'a/b', '/etc/passwd', 'a\r\nb', 'a\0b', 'x'.repeat(256)])(
  'W13 the name %j of an upload is refused',
  (name) => expect(() => joined('in', name)).toThrow(/expected the name of a file/),
)

test.each(['', '~/', 'a\0b', 'x'.repeat(5000)])('the path %j is none', (path) =>
  expect(() => pathOf(path)).toThrow(/expected a file/),
)

test.each([
  { path: 'a.txt', part: '.a.txt.0f.part' },
  { path: '/srv/x/ä', part: '/srv/x/.ä.0f.part' },
  { path: `in/${'ü'.repeat(120)}`, part: `in/.${'ü'.repeat(40)}.0f.part` },
])('while it arrives, $path has another name', ({ path, part }) => expect(partOf(path, '0f')).toBe(part))
