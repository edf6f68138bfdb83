/** `version`, the same in every program. */

import { version, versionLine } from '../../common/version.ts'
import { print } from './output.ts'
import type { CommandRun } from './spec.ts'

export const printVersion: CommandRun = async ({ options }) => {
  const value = { version, node: process.versions.node }
  await print(options.string('format'), value, () => `${versionLine()}\n`)
  return 0
}
