/** The full program. */

import { leave } from '../common/exit.ts'
import { runProgram } from '../common/program.ts'
import { tshProgram } from './program.ts'

export async function runTsh(argv: readonly string[]): Promise<void> {
  await leave(await runProgram(tshProgram, argv))
}
