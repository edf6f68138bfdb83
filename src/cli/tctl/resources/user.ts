/** `kind: user` */

import { parseUser } from '../../../access/schema.ts'
import type { UserRecord } from '../../../api/model.ts'
import { deleteUser, getUser, listUsers, putUser } from '../../../api/routes.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { allPages } from '../pages.ts'
import { putBy } from './put.ts'
import type { Resource, ResourceKind } from './types.ts'

export const user: ResourceKind = {
  headings: ['User', 'Roles'],
  async list(api, name) {
    const users =
      name === undefined
        ? await allPages<UserRecord>((query) => api.call(listUsers, { query }))
        : [await api.call(getUser, { params: { name } })]
    return users.map(toResource)
  },
  parse(document) {
    const { metadata, spec } = parseUser(document)
    for (const key of ['labels', 'expires', 'description'] as const) {
      if (metadata[key] === undefined) continue
      const line = document.lineOf(['metadata', key])
      throw new BadParameter(key, `${document.file}:${line}: metadata.${key}: users have none in this version`)
    }
    const { name } = metadata
    const traits = Object.fromEntries(Object.entries(spec.traits).map(([key, values]) => [key, [...values]]))
    return {
      name,
      title: `user "${name}"`,
      put: (api, { mode, revision }) => {
        const call = (more: { overwrite: boolean; revision?: string }) =>
          api.call(putUser, { params: { name }, body: { roles: [...spec.roles], traits, ...more } })
        return putBy(
          mode,
          () => call({ overwrite: false }),
          () => call({ overwrite: true, ...(revision === undefined ? {} : { revision }) }),
        )
      },
    }
  },
  async remove(api, name) {
    await api.call(deleteUser, { params: { name } })
    return `user '${name}'`
  },
}

function toResource(record: UserRecord): Resource {
  const { name, roles, traits, createdBy, created, revision } = record
  return {
    value: {
      kind: 'user',
      version: 'v2',
      metadata: { name, ...(revision === undefined ? {} : { revision }) },
      spec: { roles, traits, created_by: { user: { name: createdBy }, time: created } },
    },
    rows: [[name, roles.join(',')]],
  }
}
