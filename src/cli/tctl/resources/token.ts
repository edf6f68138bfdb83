/** `kind: token`: join tokens. The auth service keeps no token whole, so listings show beginnings, which nobody can create again. */

import { z } from 'zod'
import { serverRole } from '../../../api/model.ts'
import { createToken, deleteToken, listTokens } from '../../../api/routes.ts'
import { parseYamlValue, strictObject, type YamlDocument, yamlString } from '../../../common/yaml.ts'
import { AlreadyExists, BadParameter, isAlreadyExists, NotFound } from '../../../errors/errors.ts'
import type { Draft, ResourceKind } from './types.ts'

export const token: ResourceKind = {
  headings: ['Token', 'Type', 'Labels', 'Expiry Time (UTC)'],
  async list(api, name) {
    const { tokens } = await api.call(listTokens)
    const chosen = tokens.filter((each) => name === undefined || isNamed(each.token, name))
    if (name !== undefined && chosen.length === 0) throw new NotFound('there is no such token')
    return chosen.map((each) => ({
      value: {
        kind: 'token',
        version: 'v2',
        metadata: {
          name: each.token,
          ...(Object.keys(each.labels).length === 0 ? {} : { labels: each.labels }),
          ...(each.expires === undefined ? {} : { expires: each.expires }),
        },
        spec: { roles: each.roles.map((role) => role.charAt(0).toUpperCase() + role.slice(1)) },
      },
      rows: [
        [
          each.token,
          each.roles.join(','),
          Object.entries(each.labels)
            .map(([key, value]) => `${key}=${value}`)
            .join(','),
          each.expires ?? 'never',
        ],
      ],
    }))
  },
  parse: parseToken,
  async remove(api, name) {
    await api.call(deleteToken, { params: { name } })
    return 'token'
  },
}

/** Listings know beginnings only. */
const isNamed = (shown: string, name: string): boolean =>
  shown === name || (name.length >= 16 && name.startsWith(shown.replace(/…$/, '')))

const schema = strictObject({
  kind: z.literal('token'),
  version: yamlString,
  metadata: strictObject({
    name: yamlString,
    labels: z.record(z.string(), yamlString).optional(),
    expires: yamlString.optional(),
    id: z.unknown().optional(),
    revision: z.unknown().optional(),
  }),
  spec: strictObject({ roles: z.array(yamlString).min(1) }),
})

function parseToken(document: YamlDocument): Draft {
  const { metadata, spec } = parseYamlValue(schema, document)
  const fail = (key: readonly string[], what: string) =>
    new BadParameter(key.join('.'), `${document.file}:${document.lineOf(key)}: ${key.join('.')}: ${what}`)
  const roles = spec.roles.map((role) => {
    const parsed = serverRole.safeParse(role.toLowerCase())
    if (!parsed.success) throw fail(['spec', 'roles'], `${JSON.stringify(role)} is not one of Node, Proxy, Auth`)
    return parsed.data
  })
  const { name, labels = {} } = metadata
  if (name.endsWith('…'))
    throw fail(['metadata', 'name'], 'is only the beginning of a token, as listings show it; make a new one')
  if (name.length < 16 || name.length > 256) throw fail(['metadata', 'name'], 'a token has 16 to 256 characters')
  const expires = metadata.expires === undefined ? undefined : Date.parse(metadata.expires)
  if (expires !== undefined && !(expires > Date.now()))
    throw fail(['metadata', 'expires'], 'is not a time in the future')
  return {
    name,
    title: 'token',
    async put(api, { mode }) {
      const create = () => {
        const ttl = expires === undefined ? {} : { ttlSeconds: Math.max(1, Math.round((expires - Date.now()) / 1000)) }
        return api.call(createToken, { body: { roles, value: name, labels, ...ttl } })
      }
      try {
        if (mode === 'update') await api.call(deleteToken, { params: { name } })
        await create()
        return mode === 'update' ? 'updated' : 'created'
      } catch (error) {
        if (!isAlreadyExists(error)) throw error
        // The message of the store would hold the hash of the token.
        if (mode !== 'replace') throw new AlreadyExists('this token already exists', { cause: error })
      }
      await api.call(deleteToken, { params: { name } })
      await create()
      return 'updated'
    },
  }
}
