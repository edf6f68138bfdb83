/** `kind: role` */

import { parseRole, roleToResource } from '../../../access/schema.ts'
import { type RoleRecord, roleRecord } from '../../../api/model.ts'
import { deleteRole, getRole, listRoles, putRole } from '../../../api/routes.ts'
import { allPages } from '../pages.ts'
import { putBy } from './put.ts'
import type { Resource, ResourceKind } from './types.ts'

export const role: ResourceKind = {
  headings: ['Role', 'Allowed to login as', 'Node Labels', 'Access to resources'],
  async list(api, name) {
    const roles =
      name === undefined
        ? await allPages<RoleRecord>((query) => api.call(listRoles, { query }))
        : [await api.call(getRole, { params: { name } })]
    return roles.map(toResource)
  },
  parse(document) {
    const record = roleRecord.parse(roleToResource(parseRole(document)))
    const { name } = record.metadata
    return {
      name,
      title: `role '${name}'`,
      put: (api, { mode, revision }) => {
        const call = (more: { overwrite: boolean; revision?: string }) =>
          api.call(putRole, { params: { name }, body: { role: record, ...more } })
        return putBy(
          mode,
          () => call({ overwrite: false }),
          () => call({ overwrite: true, ...(revision === undefined ? {} : { revision }) }),
        )
      },
    }
  },
  async remove(api, name) {
    await api.call(deleteRole, { params: { name } })
    return `role '${name}'`
  },
}

function toResource(record: RoleRecord): Resource {
  const { kind, version, spec } = record
  const metadata = { ...record.metadata, revision: String(record.metadata.revision ?? '') }
  return { value: { kind, version, metadata, spec }, rows: [roleRow(record)] }
}

const listText = (value: unknown): string => (Array.isArray(value) ? value.map(String).join(',') : '')

function field(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined),
    value,
  )
}

function roleRow(record: RoleRecord): readonly string[] {
  const labels = field(record, 'spec', 'allow', 'node_labels')
  const rules = field(record, 'spec', 'allow', 'rules')
  const labelText =
    typeof labels === 'object' && labels !== null
      ? Object.entries(labels)
          .map(([key, value]) => `${key}: ${Array.isArray(value) ? listText(value) : String(value)}`)
          .join(' ')
      : ''
  const ruleText = Array.isArray(rules)
    ? rules.map((rule) => `${listText(field(rule, 'resources'))}:${listText(field(rule, 'verbs'))}`).join(' ')
    : ''
  return [record.metadata.name, listText(field(record, 'spec', 'allow', 'logins')), labelText, ruleText]
}
