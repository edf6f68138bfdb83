/** `tsh ssh` when commander has parsed it. */

import { errorLine, exitCode, exitCodeOf } from '../../common/exit.ts'
import type { CommandRun } from '../../common/spec.ts'
import { wantedFrom } from '../login-state.ts'
import { type SshRequest, sshRequest } from '../ssh/options.ts'
import { runSsh } from '../ssh/run.ts'

export const ssh: CommandRun = async ({ options, args }) => {
  let request: SshRequest
  try {
    const [host = '', ...words] = args
    request = sshRequest(options, words[0] === '--' ? [host, ...words.slice(1)] : [host, ...words], process.env)
  } catch (error) {
    process.stderr.write(`tsh: ${errorLine(error)}\n`)
    return exitCodeOf(error) === exitCode.usage ? exitCode.usage : exitCode.connection
  }
  return await runSsh(request, wantedFrom(options))
}
