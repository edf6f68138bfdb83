/** `kind: lock`: who is shut out. Without a name, `tctl create` lets the auth service choose one. */

import { z } from 'zod'
import { describeTarget } from '../../../access/locks.ts'
import { type LockRecord, lockMessage, lockTarget } from '../../../api/model.ts'
import { createLock, deleteLock, getLock, listLocks } from '../../../api/routes.ts'
import { isUuid } from '../../../common/names.ts'
import { quote } from '../../../common/text.ts'
import { parseYamlValue, strictObject, type YamlDocument, yamlString } from '../../../common/yaml.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { shortTime } from '../../common/time.ts'
import { allPages } from '../pages.ts'
import { putBy } from './put.ts'
import type { Draft, Resource, ResourceKind } from './types.ts'

export const lock: ResourceKind = {
  headings: ['ID', 'Target', 'Message', 'Expires'],
  async list(api, name) {
    const locks =
      name === undefined
        ? await allPages<LockRecord>((query) => api.call(listLocks, { query }))
        : [await api.call(getLock, { params: { id: checkId(name) } })]
    return locks.map(toResource)
  },
  parse: parseLock,
  async remove(api, name) {
    await api.call(deleteLock, { params: { id: checkId(name) } })
    return `lock '${name}'`
  },
}

function toResource({ id, target, message, expires, revision }: LockRecord): Resource {
  return {
    value: {
      kind: 'lock',
      version: 'v2',
      metadata: { name: id, ...(revision === undefined ? {} : { revision }) },
      spec: {
        target,
        ...(message === '' ? {} : { message }),
        ...(expires === undefined ? {} : { expires }),
      },
    },
    rows: [[id, describeTarget({ target }), message, expires === undefined ? 'never' : shortTime(new Date(expires))]],
  }
}

function checkId(name: string): string {
  if (isUuid(name)) return name
  throw new BadParameter('lock', `${quote(name)} is not the id of a lock; tctl get locks --format=text lists them`)
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

function parseLock(document: YamlDocument): Draft {
  const { metadata = {}, spec } = parseYamlValue(schema, document)
  const fail = (key: readonly string[], what: string) =>
    new BadParameter(key.join('.'), `${document.file}:${document.lineOf(key)}: ${key.join('.')}: ${what}`)
  const { name } = metadata
  if (name !== undefined && !isUuid(name))
    throw fail(['metadata', 'name'], `${quote(name)} is not a UUID; leave it out, and one is made`)
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
    name: name ?? '',
    title: name === undefined ? 'lock' : `lock '${name}'`,
    put: (api, { mode, revision }) => {
      const call = (more: { overwrite: boolean; revision?: string }) =>
        api.call(createLock, {
          body: {
            ...(name === undefined ? {} : { id: name }),
            target: target.data,
            message: message.data,
            ...(expires === undefined ? {} : { expires: new Date(expires).toISOString() }),
            ...more,
          },
        })
      return putBy(
        mode,
        () => call({ overwrite: false }),
        () => call({ overwrite: true, ...(revision === undefined ? {} : { revision }) }),
      )
    },
  }
}
