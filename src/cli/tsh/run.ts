/** Chooses between the quick way of `tsh ssh` and commander. */

import { errorLine, exitCode, exitCodeOf, leave, tolerateClosedOutput } from '../common/exit.ts'
import { wantedFrom } from './login-state.ts'
import { sshOptionSpecs, sshRequest } from './ssh/options.ts'
import { quickParse } from './ssh/quick-parse.ts'
import { runSsh } from './ssh/run.ts'

export async function runTsh(argv: readonly string[]): Promise<void> {
  if (argv[0] === 'ssh') {
    const { globalOptions } = await import('./globals.ts')
    const quick = quickParse([...globalOptions, ...sshOptionSpecs], argv.slice(1))
    if (quick !== undefined) {
      tolerateClosedOutput()
      try {
        const request = sshRequest(quick.options, quick.args, process.env)
        return await leave(await runSsh(request, wantedFrom(quick.options)))
      } catch (error) {
        process.stderr.write(`tsh: ${errorLine(error)}\n`)
        return await leave(exitCodeOf(error) === exitCode.usage ? exitCode.usage : exitCode.connection)
      }
    }
  }
  const [{ runProgram }, { tshProgram }] = await Promise.all([import('../common/program.ts'), import('./program.ts')])
  await leave(await runProgram(tshProgram, argv))
}
