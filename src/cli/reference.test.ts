import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cliReference } from '../../scripts/cli-reference.ts'

test('docs/reference/cli.md is what the command tables say', async () => {
  const kept = await readFile(join(import.meta.dirname, '../../docs/reference/cli.md'), 'utf8')
  expect(kept, 'write it again with: node scripts/cli-reference.ts').toBe(cliReference())
})
