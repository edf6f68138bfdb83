/** `tsh scp`: copies files between this machine and nodes, and between nodes. */

import type { CommandRun } from '../../common/spec.ts'
import { wantedFrom } from '../login-state.ts'
import { scpRequest } from '../scp/options.ts'
import { runScp } from '../scp/run.ts'

export const scp: CommandRun = async ({ options, args }) =>
  await runScp(scpRequest(options, args, process.env), wantedFrom(options))
