/** `kind: user` */

import { parseUser } from '../../../access/schema.ts'
import type { ApiClient } from '../../../api/client.ts'
import { fromLocalAuth, toLocalAuth } from '../../../api/local-auth.ts'
import type { UserRecord } from '../../../api/model.ts'
import { deleteUser, exportCredentials, getUser, listUsers, putUser, restoreCredentials } from '../../../api/routes.ts'
import type { CredentialSecrets } from '../../../api/secret-routes.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { allPages } from '../pages.ts'
import { putBy } from './put.ts'
import type { Resource, ResourceKind } from './types.ts'

export const user: ResourceKind = {
  headings: ['User', 'Roles'],
  async list(api, name, { withSecrets }) {
    const users =
      name === undefined
        ? await allPages<UserRecord>((query) => api.call(listUsers, { query }))
        : [await api.call(getUser, { params: { name } })]
    const secrets = withSecrets ? await readSecrets(api, name) : new Map<string, CredentialSecrets>()
    return users.map((record) => toResource(record, secrets.get(record.name)))
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
      put: async (api, { mode, revision }) => {
        const call = (more: { overwrite: boolean; revision?: string }) =>
          api.call(putUser, { params: { name }, body: { roles: [...spec.roles], traits, ...more } })
        const done = await putBy(
          mode,
          () => call({ overwrite: false }),
          () => call({ overwrite: true, ...(revision === undefined ? {} : { revision }) }),
        )
        if (spec.local_auth !== undefined)
          await api.call(restoreCredentials, { params: { name }, body: fromLocalAuth(spec.local_auth) })
        return done
      },
    }
  },
  async remove(api, name) {
    await api.call(deleteUser, { params: { name } })
    return `user '${name}'`
  },
}

async function readSecrets(api: ApiClient, user: string | undefined): Promise<ReadonlyMap<string, CredentialSecrets>> {
  const one = user === undefined ? {} : { user }
  const found = await allPages((after) => api.call(exportCredentials, { query: { ...one, ...after } }))
  return new Map(found.map((each) => [each.user, each.secrets]))
}

function toResource(record: UserRecord, secrets: CredentialSecrets | undefined): Resource {
  const { name, roles, traits, createdBy, created, revision } = record
  return {
    value: {
      kind: 'user',
      version: 'v2',
      metadata: { name, ...(revision === undefined ? {} : { revision }) },
      spec: {
        roles,
        traits,
        ...(secrets === undefined ? {} : { local_auth: toLocalAuth(secrets) }),
        created_by: { user: { name: createdBy }, time: created },
      },
    },
    rows: [[name, roles.join(',')]],
  }
}
