/** `teleport configure` */

import { loadConfig } from '../../../config/load.ts'
import { sampleConfig } from '../../../config/sample.ts'
import { givenFile } from '../../common/given-file.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun } from '../../common/spec.ts'

export const configure: CommandRun = async ({ options }) => {
  const file = options.string('test')
  if (file !== undefined) {
    const { warnings } = await givenFile('--test', loadConfig({ file }))
    for (const warning of warnings) process.stderr.write(`note: ${printable(warning)}\n`)
    process.stdout.write(`OK ${printable(file)}\n`)
    return 0
  }
  const clusterName = options.string('clusterName')
  process.stdout.write(sampleConfig(clusterName === undefined ? {} : { clusterName }))
  return 0
}
