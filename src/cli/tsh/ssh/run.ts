/** `tsh ssh` with everything it can do; `quick.ts` is the short way for ordinary sessions. */

import type { Wanted } from '../login-state.ts'
import { extrasOf } from './extras.ts'
import { runOnMatches } from './fan-out.ts'
import type { SshRequest } from './options.ts'
import { connectionTrouble, prepare, runOnNode } from './run-node.ts'

/** Returns the exit code: the remote status, 255 for connection trouble, 2 for bad input. */
export async function runSsh(request: SshRequest, wanted: Wanted): Promise<number> {
  try {
    const prepared = prepare(request, wanted)
    const extras = await extrasOf(request, prepared.login)
    if (request.selector === undefined) return await runOnNode(request, prepared, extras)
    const outcome = await runOnMatches(request, request.selector, prepared.login)
    if (typeof outcome === 'number') return outcome
    return await runOnNode({ ...request, host: outcome.only }, prepared, extras)
  } catch (error) {
    return connectionTrouble(error)
  }
}
