/** The short way of `tsh scp`, a bundle of its own as that of `tsh ssh`: without commander, YAML and the auth API. */

import { leave, tolerateClosedOutput } from '../../common/exit.ts'
import { globalOptions } from '../globals.ts'
import { wantedFrom } from '../login-state.ts'
import { afterCommand, quickParse } from '../ssh/quick-parse.ts'
import { type ScpRequest, scpOptionSpecs, scpRequest } from './options.ts'
import { runScp } from './run.ts'

/**
 * `argv` after `tsh`, with the word `scp` somewhere in it. Ends the process with the exit code; returns only when the full program
 * must do it. Never throws.
 */
export async function quickScp(argv: readonly string[]): Promise<void> {
  const own = afterCommand('scp', argv)
  const parsed = own === undefined ? undefined : quickParse([...globalOptions, ...scpOptionSpecs], own)
  // Options among the words, mistakes and help are the full program's.
  if (parsed === undefined || parsed.args.some((word) => word.startsWith('-'))) return
  let request: ScpRequest
  try {
    request = scpRequest(parsed.options, parsed.args, process.env)
  } catch {
    return
  }
  tolerateClosedOutput()
  await leave(await runScp(request, wantedFrom(parsed.options)))
}
