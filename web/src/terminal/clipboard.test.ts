import { expect, test } from 'vitest'
import { readClipboardWrite } from './clipboard.ts'

const bytes = (given: Iterable<number>): string => btoa(String.fromCharCode(...given))
const coded = (text: string): string => bytes(new TextEncoder().encode(text))

test.each([
  { name: 'text for the clipboard', data: `c;${coded('é 世界')}`, text: 'é 世界' },
  { name: 'without a target', data: `;${coded('x')}`, text: 'x' },
  { name: 'a question what is on it', data: 'c;?', text: undefined },
  { name: 'nothing', data: 'c;', text: undefined },
  { name: 'no base64', data: 'c;***', text: undefined },
  { name: 'no text', data: `c;${bytes([0xff, 0xfe])}`, text: undefined },
  { name: 'no target at all', data: coded('x'), text: undefined },
  { name: 'too much', data: `c;${'eHh4'.repeat(60_000)}`, text: undefined },
])('$name', ({ data, text }) => expect(readClipboardWrite(data)).toBe(text))
