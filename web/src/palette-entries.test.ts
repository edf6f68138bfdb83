import { expect, test } from 'vitest'
import { matching } from './palette-entries.ts'

const entries = [
  { name: 'Servers', group: 'Go to' },
  { name: 'Terminals', group: 'Go to' },
  { name: 'Log out', group: 'Do' },
]

test.each([
  { name: 'nothing typed means all', search: '', found: ['Servers', 'Terminals', 'Log out'] },
  { name: 'letters in any case', search: 'TERM', found: ['Terminals'] },
  { name: 'all words, of the name or the group', search: 'go serv', found: ['Servers'] },
  { name: 'nothing fits', search: 'zz', found: [] },
])('$name', ({ search, found }) => expect(matching(entries, search).map(({ name }) => name)).toEqual(found))
