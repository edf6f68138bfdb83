/** `kind: lock` as text: for `tctl create`, and in a backup. */

import { z } from 'zod'
import { isUuid } from '../common/names.ts'
import { quote } from '../common/text.ts'
import { parseYamlValue, strictObject, type YamlDocument, yamlString } from '../common/yaml.ts'
import { BadParameter } from '../errors/errors.ts'
import { type LockRecord, lockMessage, lockTarget } from './model.ts'

export interface LockDraft extends Pick<LockRecord, 'target' | 'message' | 'expires'> {
  /** Absent: the auth service chooses one. */
  readonly id: string | undefined
}

const targetField = yamlString.optional()
const schema = strictObject({
  kind: z.literal('lock'),
  version: z.literal('v2'),
  metadata: strictObject({
    name: yamlString.optional(),
    namespace: yamlString.optional(),
    id: z.unknown().optional(),
    revision: z.unknown().optional(),
  }).optional(),
  spec: strictObject({
    target: strictObject({
      user: targetField,
      role: targetField,
      login: targetField,
      node: targetField,
      mfa_device: targetField,
    }),
    message: yamlString.optional(),
    expires: yamlString.optional(),
  }),
})

/** Throws BadParameter with `file:line: key: what`. */
export function parseLock(document: YamlDocument): LockDraft {
  const { metadata = {}, spec } = parseYamlValue(schema, document)
  const fail = (key: readonly string[], what: string) =>
    new BadParameter(key.join('.'), `${document.file}:${document.lineOf(key)}: ${key.join('.')}: ${what}`)
  const { name: id } = metadata
  if (id !== undefined && !isUuid(id))
    throw fail(['metadata', 'name'], `${quote(id)} is not a UUID; leave it out, and one is made`)
  // As the original writes them, empty texts say nothing.
  const set = Object.entries(spec.target).filter(([, value]) => value !== undefined && value !== '')
  const target = lockTarget.safeParse(Object.fromEntries(set))
  if (!target.success || set.length === 0)
    throw fail(['spec', 'target'], target.error?.issues[0]?.message ?? 'names nobody')
  const message = lockMessage.safeParse(spec.message ?? '')
  if (!message.success) throw fail(['spec', 'message'], message.error.issues[0]?.message ?? 'invalid')
  const expires = spec.expires === undefined || spec.expires === '' ? undefined : Date.parse(spec.expires)
  if (Number.isNaN(expires)) throw fail(['spec', 'expires'], 'is not a time such as 2030-01-31T12:00:00Z')
  return {
    id,
    target: target.data,
    message: message.data,
    ...(expires === undefined ? {} : { expires: new Date(expires).toISOString() }),
  }
}
