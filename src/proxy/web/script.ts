/** The script of the pages: built into a file beside the programs, or, from the sources, with its types left out. */

import { readFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { programFile } from '../../common/program-file.ts'

export async function loadPageScript(): Promise<string> {
  const file = programFile(new URL('./client/page.ts', import.meta.url), 'page-script', import.meta.url)
  const text = await readFile(file, 'utf8')
  return file.pathname.endsWith('.ts') ? stripTypeScriptTypes(text) : text
}
