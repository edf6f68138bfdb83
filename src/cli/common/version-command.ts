/** `version`, the same in every program. */

import { print } from './output.ts'
import type { CommandRun } from './spec.ts'
import { version, versionLine } from './version.ts'

export const printVersion: CommandRun = async ({ options }) => {
  const value = { version, node: process.versions.node }
  await print(options.string('format'), value, () => `${versionLine()}\n`)
  return 0
}
