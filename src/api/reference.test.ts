import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reference } from '../../scripts/openapi.ts'

test.each(Object.entries(reference()))('docs/reference/%s is what the endpoints say', async (file, text) => {
  const kept = await readFile(join(import.meta.dirname, '../../docs/reference', file), 'utf8')
  expect(kept, 'write it again with: node scripts/openapi.ts').toBe(text)
})
