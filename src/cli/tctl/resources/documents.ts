/** Files of resources: read and checked whole before the first of them is sent. */

import { readFileBounded } from '../../../common/files.ts'
import { quote } from '../../../common/text.ts'
import { readYaml, type YamlDocument } from '../../../common/yaml.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { givenFile } from '../../common/given-file.ts'
import { findKind } from './kinds.ts'
import type { Draft } from './types.ts'

const maxBytes = 1_048_576

export interface ReadDraft {
  readonly draft: Draft
  readonly kind: string
  /** What the document says it was made from. */
  readonly revision: string | undefined
}

/** The text of a file, or of standard input for `-`. Throws BadParameter. */
export async function readResourceText(file: string): Promise<string> {
  if (file !== '-') return (await givenFile(file, readFileBounded(file, maxBytes))).toString('utf8')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new BadParameter('stdin', `standard input is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Every document of the text. Throws BadParameter with `file:line: key: what`. */
export async function readDrafts(text: string, file: string): Promise<readonly ReadDraft[]> {
  const documents = readYaml(text, file).flatMap(listed)
  if (documents.length === 0) throw new BadParameter(file, `${file}: there is no resource in it`)
  const drafts: ReadDraft[] = []
  for (const document of documents) drafts.push(await readDraft(document))
  return drafts
}

/** `tctl get --format=json` prints one list. */
function listed(document: YamlDocument): readonly YamlDocument[] {
  const { value } = document
  // Nothing between two `---`.
  if (value === null) return []
  if (!Array.isArray(value)) return [document]
  return value.map((item: unknown, index) => ({
    value: item,
    file: document.file,
    lineOf: (path) => document.lineOf([index, ...path]),
  }))
}

async function readDraft(document: YamlDocument): Promise<ReadDraft> {
  const refuse = (what: string) =>
    new BadParameter('kind', `${document.file}:${document.lineOf(['kind'])}: kind: ${what}`)
  const kind = field(document.value, 'kind')
  if (kind === undefined) throw refuse('is missing')
  if (typeof kind !== 'string') throw refuse('must be a text')
  const { parse } = await kindOf(kind, refuse)
  if (typeof parse === 'string') throw refuse(`${quote(kind)} cannot be created: ${parse}`)
  return { draft: parse(document), kind, revision: revisionOf(document) }
}

async function kindOf(kind: string, refuse: (what: string) => BadParameter) {
  try {
    return await findKind(kind).load()
  } catch (error) {
    throw error instanceof BadParameter ? refuse(error.message) : error
  }
}

function revisionOf(document: YamlDocument): string | undefined {
  const revision = field(field(document.value, 'metadata'), 'revision')
  // YAML makes numbers of digits.
  if (typeof revision === 'number') return String(revision)
  return typeof revision === 'string' && revision !== '' ? revision : undefined
}

const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined
