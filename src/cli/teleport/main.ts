/** Entry point of `teleport`, and of the role processes that it starts. */

import { enableCompileCache } from 'node:module'
import { versionLine } from '../../common/version.ts'
import { compileCacheDirectory } from '../common/compile-cache.ts'

const argv = process.argv.slice(2)
const role = process.env.TELEPORT_ROLE_PROCESS
if (argv[0] === 'version' && argv.length === 1) {
  process.stdout.write(`${versionLine()}\n`)
} else {
  const directory = compileCacheDirectory(process.env)
  if (directory !== undefined) enableCompileCache(directory)
  if (role !== undefined && process.send !== undefined) {
    const { runRoleProcess } = await import('../../service/role-main.ts')
    await runRoleProcess(JSON.parse(role))
  } else {
    const [{ runProgram }, { teleportProgram }, { leave }] = await Promise.all([
      import('../common/program.ts'),
      import('./program.ts'),
      import('../common/exit.ts'),
    ])
    await leave(await runProgram(teleportProgram, argv))
  }
}
