/** `tctl update`: a change of what exists, by flags or from a file. Never makes anything. */

import { quote } from '../../../common/text.ts'
import { readYaml } from '../../../common/yaml.ts'
import { BadParameter, MissingParameter } from '../../../errors/errors.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { toYaml } from '../../common/to-yaml.ts'
import { labelsOf, secondsOf } from '../arguments.ts'
import { withAdminApi } from '../connect.ts'
import { readDrafts, readResourceText } from '../resources/documents.ts'
import { parseReference } from '../resources/kinds.ts'

type Changes = readonly { readonly path: readonly string[]; readonly value: unknown }[]

export const update: CommandRun = async ({ options, args }) => {
  const file = options.string('file')
  if (file !== undefined) {
    if (args[0] !== undefined) throw new BadParameter('--file', 'name a resource or a file, not both')
    return await updateFrom(options, file)
  }
  if (args[0] === undefined)
    throw new MissingParameter('resource', 'name the resource to update: tctl update KIND/NAME')
  const { entry, name = entry.only } = parseReference(args[0])
  const kind = await entry.load()
  if (typeof kind.parse === 'string')
    throw new BadParameter('resource', `a ${entry.kind} cannot be updated: ${kind.parse}`)
  if (name === undefined)
    throw new BadParameter('resource', `name the ${entry.kind} to update: tctl update ${entry.kind}/NAME`)
  const changes = changesOf(options)
  return await withAdminApi(options, async (api) => {
    const [only, ...others] = await kind.list(api, name, { withSecrets: false })
    if (only === undefined || others.length > 0)
      throw new BadParameter('resource', `${quote(name)} is not one ${entry.kind}`)
    const [changed] = await readDrafts(toYaml(changes.reduce(changedBy, only.value)), `${entry.kind}/${name}`)
    const { revision } = only.value.metadata
    await changed?.draft.put(api, { mode: 'update', revision, confirm: options.flag('confirm') })
    process.stdout.write(`${printable(changed?.draft.title ?? '')} has been updated\n`)
    return 0
  })
}

async function updateFrom(options: OptionValues, file: string): Promise<number> {
  const drafts = await readDrafts(await readResourceText(file), file === '-' ? 'standard input' : file)
  return await withAdminApi(options, async (api) => {
    for (const { draft, revision } of drafts) {
      await draft.put(api, { mode: 'update', revision, confirm: options.flag('confirm') })
      process.stdout.write(`${printable(draft.title)} has been updated\n`)
    }
    return 0
  })
}

function changesOf(options: OptionValues): Changes {
  const labels = options.string('setLabels')
  const ttl = secondsOf(options.string('setTtl'), '--set-ttl')
  const changes = [
    ...(labels === undefined ? [] : [{ path: ['metadata', 'labels'], value: labelsOf(labels, '--set-labels') }]),
    ...(ttl === undefined
      ? []
      : [{ path: ['metadata', 'expires'], value: new Date(Date.now() + ttl * 1000).toISOString() }]),
    ...options.list('set').map(parseSet),
  ]
  if (changes.length === 0)
    throw new MissingParameter('--set', 'nothing to change: give --set, --set-labels, --set-ttl or --file')
  return changes
}

/** `spec.options.max_session_ttl=8h`, `spec.allow.logins=[root, admin]`: the value is YAML. */
function parseSet(text: string): Changes[number] {
  const index = text.indexOf('=')
  const path = text.slice(0, Math.max(0, index)).split('.')
  if (index < 1 || path.includes('') || path.includes('__proto__'))
    throw new BadParameter('--set', `--set: ${quote(text)} is not FIELD=VALUE, such as spec.options.max_session_ttl=8h`)
  const [value] = readYaml(text.slice(index + 1), '--set')
  return { path, value: value?.value ?? null }
}

/** The document with one field set, and the sections that lead to it. */
function changedBy<T extends object>(document: T, { path, value }: Changes[number]): T {
  const [key = '', ...rest] = path
  const inner: unknown = Object.hasOwn(document, key) ? (document as Record<string, unknown>)[key] : undefined
  const section = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? inner : {}
  return { ...document, [key]: rest.length === 0 ? value : changedBy(section, { path: rest, value }) }
}
