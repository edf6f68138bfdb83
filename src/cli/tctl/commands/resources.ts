/** `tctl create`, `tctl get`, `tctl rm`, `tctl nodes ls`: the same for all kinds; what a kind is stands in `../resources`. */

import { formatTable, quote } from '../../../common/text.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'
import { readDrafts, readResourceText } from '../resources/documents.ts'
import { parseReference, parseReferences } from '../resources/kinds.ts'

export const create: CommandRun = async ({ options, args }) => {
  const file = args[0] ?? ''
  const text = await readResourceText(file)
  const drafts = await readDrafts(text, file === '-' ? 'standard input' : file)
  const mode = options.flag('force') ? 'replace' : 'create'
  return await withAdminApi(options, async (api) => {
    for (const { draft, revision } of drafts) {
      const done = await draft.put(api, { mode, revision, confirm: options.flag('confirm') })
      process.stdout.write(`${printable(`${draft.title} has been ${done}`)}\n`)
    }
    return 0
  })
}

export const get: CommandRun = async ({ options, args }) => {
  const references = parseReferences(args[0] ?? '')
  const kinds = await Promise.all(references.map(({ entry }) => entry.load()))
  const withSecrets = options.flag('withSecrets')
  return await withAdminApi(options, async (api) => {
    const found = await Promise.all(
      references.map(({ name }, index) => kinds[index]?.list(api, name, { withSecrets }) ?? []),
    )
    const values = found.flat().map((resource) => resource.value)
    const format = options.string('format')
    if (format === 'text') {
      const table = (index: number) =>
        formatTable(
          kinds[index]?.headings ?? [],
          (found[index] ?? []).flatMap(({ rows }) => rows),
        )
      process.stdout.write(references.map((_reference, index) => table(index)).join('\n'))
    } else if (format === 'json') await print('json', values, () => '')
    else {
      const { toYaml } = await import('../../common/to-yaml.ts')
      process.stdout.write(values.map((value) => toYaml(value)).join('---\n'))
    }
    return 0
  })
}

export const rm: CommandRun = async ({ options, args }) => {
  const { entry, name = entry.only } = parseReference(args[0] ?? '')
  const { remove, removed = 'has been deleted' } = await entry.load()
  if (typeof remove === 'string') throw new BadParameter('resource', `a ${entry.kind} cannot be removed: ${remove}`)
  if (name === undefined)
    throw new BadParameter('resource', `name the ${entry.kind} to remove: tctl rm ${entry.kind}/NAME`)
  if (name.includes('\0')) throw new BadParameter('resource', `${quote(name)} is no name`)
  return await withAdminApi(options, async (api) => {
    process.stdout.write(`${printable(await remove(api, name))} ${removed}\n`)
    return 0
  })
}
