/** `kind: lock`: who is shut out. Without a name, `tctl create` lets the auth service choose one. */

import { describeTarget } from '../../../access/locks.ts'
import { parseLock } from '../../../api/lock-resource.ts'
import type { LockRecord } from '../../../api/model.ts'
import { createLock, deleteLock, getLock, listLocks } from '../../../api/routes.ts'
import { isUuid } from '../../../common/names.ts'
import { quote } from '../../../common/text.ts'
import type { YamlDocument } from '../../../common/yaml.ts'
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
  parse: draftOf,
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

function draftOf(document: YamlDocument): Draft {
  const { id, ...lock } = parseLock(document)
  return {
    name: id ?? '',
    title: id === undefined ? 'lock' : `lock '${id}'`,
    put: (api, { mode, revision }) => {
      const call = (more: { overwrite: boolean; revision?: string }) =>
        api.call(createLock, { body: { ...(id === undefined ? {} : { id }), ...lock, ...more } })
      return putBy(
        mode,
        () => call({ overwrite: false }),
        () => call({ overwrite: true, ...(revision === undefined ? {} : { revision }) }),
      )
    },
  }
}
