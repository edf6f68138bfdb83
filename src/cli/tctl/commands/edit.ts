/** `tctl edit`: a resource in the person's own editor. What they typed is never lost. */

import { quote } from '../../../common/text.ts'
import { BadParameter, isCompareFailed, KindError } from '../../../errors/errors.ts'
import { printable, printableLines } from '../../common/printable.ts'
import { ask } from '../../common/prompt.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { toYaml } from '../../common/to-yaml.ts'
import { withAdminApi } from '../connect.ts'
import { type EditedFile, editFile } from '../editor.ts'
import { readDrafts } from '../resources/documents.ts'
import { type KindEntry, parseReference } from '../resources/kinds.ts'
import type { ResourceValue } from '../resources/types.ts'

const header = `# Change the text, save it and close the editor. Nothing is changed when the text stays as it is.
`

interface Editing {
  readonly options: OptionValues
  readonly entry: KindEntry
  readonly name: string
}

export const edit: CommandRun = async ({ options, args }) => {
  const { entry, name = entry.only } = parseReference(args[0] ?? '')
  const { parse } = await entry.load()
  if (typeof parse === 'string') throw new BadParameter('resource', `a ${entry.kind} cannot be edited: ${parse}`)
  if (name === undefined)
    throw new BadParameter('resource', `name the ${entry.kind} to edit: tctl edit ${entry.kind}/NAME`)
  const editing = { options, entry, name }
  const present = await read(editing)
  const original = header + toYaml(present)
  const file = await editFile(`${entry.kind}-${name}`, original)
  return await untilDone(editing, file, { original, revision: present.metadata.revision })
}

/** The connection is not kept while the editor is open: that may be hours. */
async function read({ options, entry, name }: Editing): Promise<ResourceValue> {
  const kind = await entry.load()
  const [only, ...others] = await withAdminApi(options, (api) => kind.list(api, name, { withSecrets: false }))
  if (only === undefined || others.length > 0)
    throw new BadParameter('resource', `${quote(name)} is not one ${entry.kind}`)
  return only.value
}

async function untilDone(
  editing: Editing,
  file: EditedFile,
  start: { readonly original: string; readonly revision: string | undefined },
): Promise<number> {
  let { revision } = start
  let changed = false
  for (;;) {
    try {
      const text = await file.edit()
      changed = text !== start.original
      if (!changed) {
        await file.remove()
        process.stdout.write('Edit cancelled, nothing was changed\n')
        return 0
      }
      const title = await put(editing, text, file.path, revision)
      await file.remove()
      process.stdout.write(`${printable(title)} has been updated\n`)
      return 0
    } catch (error) {
      if (!(error instanceof KindError) || !(await wantsAgain(error))) {
        if (changed) process.stderr.write(`Your text is kept in ${printable(file.path)}\n`)
        else await file.remove()
        throw error
      }
      if (isCompareFailed(error)) revision = await showPresent(editing, file)
    }
  }
}

async function put(editing: Editing, text: string, path: string, revision: string | undefined): Promise<string> {
  const { options, entry, name } = editing
  const [only, ...others] = await readDrafts(text, path)
  if (only === undefined || others.length > 0) throw new BadParameter(path, `${path}: there must be one resource in it`)
  if (only.kind !== entry.kind || only.draft.name !== name) {
    throw new BadParameter('metadata.name', `${path}: kind and name cannot be changed; tctl create makes another one`)
  }
  // What was read before decides, whatever the text says now.
  const confirm = options.flag('confirm')
  await withAdminApi(options, (api) => only.draft.put(api, { mode: 'update', revision, confirm }))
  return only.draft.title
}

async function wantsAgain(error: KindError): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  process.stderr.write(`${printableLines(error.message)}\n`)
  const answer = await ask('Open the editor again with your text? [Y/n] ', { hidden: false }).catch(() => 'n')
  return /^(?:y|yes|)$/i.test(answer.trim())
}

/** After a conflict: what is there now lies beside the person's text, and saving counts from it. */
async function showPresent(editing: Editing, file: EditedFile): Promise<string | undefined> {
  const present = await read(editing)
  const path = await file.beside('present', toYaml(present))
  process.stderr.write(`What is there now: ${printable(path)}. Take from it what you want to keep, then save.\n`)
  return present.metadata.revision
}
