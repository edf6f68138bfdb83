import { expect, test } from 'vitest'
import { safeName } from './transfers.ts'

test.each([
  ['report.txt', 'report.txt'],
  ['../../x', 'x'],
  ['..\\x', 'x'],
  ['a\r\nSet-Cookie: b', 'aSet-Cookie: b'],
  ['invoice\u202efdp.exe', 'invoicefdp.exe'],
  ['..', 'file'],
  ['', 'file'],
  ['.bashrc', 'bashrc'],
])('W13 a download called %j is kept as %j', (name, kept) => expect(safeName(name)).toBe(kept))
