/** Entry point of `tsh`. Imports next to nothing: `tsh version` and the compile cache come before everything else. */

import { enableCompileCache } from 'node:module'
import { versionLine } from '../../common/version.ts'
import { compileCacheDirectory } from '../common/compile-cache.ts'

const argv = process.argv.slice(2)

async function main(): Promise<void> {
  const directory = compileCacheDirectory(process.env)
  if (directory !== undefined) enableCompileCache(directory)
  if (argv.includes('ssh')) {
    const { quickSsh } = await import('./ssh/quick.ts')
    await quickSsh(argv)
  }
  if (argv.includes('scp')) {
    const { quickScp } = await import('./scp/quick.ts')
    await quickScp(argv)
  }
  const { runTsh } = await import('./run.ts')
  await runTsh(argv)
}

if (argv[0] === 'version' && argv.length === 1) process.stdout.write(`${versionLine()}\n`)
else await main()
