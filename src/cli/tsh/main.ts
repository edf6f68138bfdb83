/** Entry point of `tsh`. Imports next to nothing: `tsh version` and the compile cache come before everything else. */

import { enableCompileCache } from 'node:module'
import { versionLine } from '../../common/version.ts'
import { compileCacheDirectory } from '../common/compile-cache.ts'

const argv = process.argv.slice(2)
if (argv[0] === 'version' && argv.length === 1) {
  process.stdout.write(`${versionLine()}\n`)
} else {
  const directory = compileCacheDirectory(process.env)
  if (directory !== undefined) enableCompileCache(directory)
  const { runTsh } = await import('./run.ts')
  await runTsh(argv)
}
