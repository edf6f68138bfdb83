/**
 * The short way of `tsh ssh`, a bundle of its own (scripts/build.ts): an ordinary session starts without commander, YAML and the
 * auth API. Anything else is left to the full program.
 */

import { leave, tolerateClosedOutput } from '../../common/exit.ts'
import { globalOptions } from '../globals.ts'
import { wantedFrom } from '../login-state.ts'
import { type SshRequest, sshOptionSpecs, sshRequest } from './options.ts'
import { afterCommand, quickParse } from './quick-parse.ts'
import { connectionTrouble, prepare, runOnNode } from './run-node.ts'

/**
 * `argv` after `tsh`, with the word `ssh` somewhere in it. Ends the process with the exit code; returns only when the full program
 * must do it. Never throws.
 */
export async function quickSsh(argv: readonly string[]): Promise<void> {
  const own = afterCommand('ssh', argv)
  const code = own === undefined ? undefined : await tryQuick(own)
  if (code !== undefined) await leave(code)
}

async function tryQuick(argv: readonly string[]): Promise<number | undefined> {
  const parsed = quickParse([...globalOptions, ...sshOptionSpecs], argv)
  if (parsed === undefined) return undefined
  let request: SshRequest
  try {
    request = sshRequest(parsed.options, parsed.args, process.env)
  } catch {
    // The full program finds the same mistake and has the words for it.
    return undefined
  }
  const { selector, forwards, forwardAgent, x11, local } = request
  if (selector !== undefined || forwards.length > 0 || forwardAgent || x11 !== undefined || local) return undefined
  tolerateClosedOutput()
  try {
    return await runOnNode(request, prepare(request, wantedFrom(parsed.options)))
  } catch (error) {
    return connectionTrouble(error)
  }
}
