/** Entry point of `tctl`. */

import { enableCompileCache } from 'node:module'
import { versionLine } from '../../common/version.ts'
import { compileCacheDirectory } from '../common/compile-cache.ts'

const argv = process.argv.slice(2)
if (argv[0] === 'version' && argv.length === 1) {
  process.stdout.write(`${versionLine()}\n`)
} else {
  const directory = compileCacheDirectory(process.env)
  if (directory !== undefined) enableCompileCache(directory)
  const [{ runProgram }, { tctlProgram }, { oldSpellings }, { leave }] = await Promise.all([
    import('../common/program.ts'),
    import('./program.ts'),
    import('./old-spellings.ts'),
    import('../common/exit.ts'),
  ])
  await leave(await runProgram(tctlProgram, oldSpellings(argv)))
}
