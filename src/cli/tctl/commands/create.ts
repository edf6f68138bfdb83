/** `tctl create`: everything in the file is read and checked before the first of it is sent. */

import { z } from 'zod'
import { parseRole, parseUser, roleToResource } from '../../../access/schema.ts'
import type { ApiClient } from '../../../api/client.ts'
import { type RoleRecord, roleRecord, serverRole } from '../../../api/model.ts'
import { createToken, putRole, putUser } from '../../../api/routes.ts'
import { readFileBounded } from '../../../common/files.ts'
import { parseYamlValue, readYaml, strictObject, type YamlDocument, yamlString } from '../../../common/yaml.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { givenFile } from '../../common/given-file.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'

const maxBytes = 1_048_576

type Step = (api: ApiClient, overwrite: boolean) => Promise<string>

export const create: CommandRun = async ({ options, args }) => {
  const file = args[0] ?? ''
  const text =
    file === '-' ? await readStdin() : (await givenFile(file, readFileBounded(file, maxBytes))).toString('utf8')
  const documents = readYaml(text, file === '-' ? 'standard input' : file)
  if (documents.length === 0) throw new BadParameter(file, `${file}: there is no resource in it`)
  const steps = documents.map(stepOf)
  return await withAdminApi(options, async (api) => {
    for (const step of steps) process.stdout.write(`${printable(await step(api, options.flag('force')))}\n`)
    return 0
  })
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new BadParameter('stdin', `standard input is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function stepOf(document: YamlDocument): Step {
  const { value } = document
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
  switch (kind) {
    case 'role':
      return roleStep(document)
    case 'user':
      return userStep(document)
    case 'token':
      return tokenStep(document)
    default: {
      const what = typeof kind === 'string' ? `kind: ${JSON.stringify(kind)} cannot be created` : 'kind: is missing'
      throw new BadParameter('kind', `${document.file}:${document.lineOf(['kind'])}: ${what}; use user, role or token`)
    }
  }
}

function roleStep(document: YamlDocument): Step {
  const role: RoleRecord = roleRecord.parse(roleToResource(parseRole(document)))
  const { name } = role.metadata
  return async (api, overwrite) => {
    await api.call(putRole, { params: { name }, body: { role, overwrite } })
    return `role '${name}' has been ${overwrite ? 'updated' : 'created'}`
  }
}

function userStep(document: YamlDocument): Step {
  const user = parseUser(document)
  const { name } = user.metadata
  const traits = Object.fromEntries(Object.entries(user.spec.traits).map(([key, values]) => [key, [...values]]))
  return async (api, overwrite) => {
    await api.call(putUser, { params: { name }, body: { roles: [...user.spec.roles], traits, overwrite } })
    return `user "${name}" has been ${overwrite ? 'updated' : 'created'}`
  }
}

const tokenSchema = strictObject({
  kind: z.literal('token'),
  version: yamlString,
  metadata: strictObject({ name: yamlString, expires: yamlString.optional() }),
  spec: strictObject({ roles: z.array(yamlString).min(1) }),
})

function tokenStep(document: YamlDocument): Step {
  const { metadata, spec } = parseYamlValue(tokenSchema, document)
  const fail = (key: readonly string[], what: string) =>
    new BadParameter(key.join('.'), `${document.file}:${document.lineOf(key)}: ${key.join('.')}: ${what}`)
  const roles = spec.roles.map((role) => {
    const parsed = serverRole.safeParse(role.toLowerCase())
    if (!parsed.success) throw fail(['spec', 'roles'], `${JSON.stringify(role)} is not one of Node, Proxy, Auth`)
    return parsed.data
  })
  if (metadata.name.length < 16 || metadata.name.length > 256)
    throw fail(['metadata', 'name'], 'a token has 16 to 256 characters')
  const expires = metadata.expires === undefined ? undefined : Date.parse(metadata.expires)
  if (expires !== undefined && !(expires > Date.now()))
    throw fail(['metadata', 'expires'], 'is not a time in the future')
  return async (api) => {
    const ttl = expires === undefined ? {} : { ttlSeconds: Math.max(1, Math.round((expires - Date.now()) / 1000)) }
    await api.call(createToken, { body: { roles, value: metadata.name, ...ttl } })
    return 'token has been created'
  }
}
