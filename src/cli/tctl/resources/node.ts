/** `kind: node`: the nodes that are there. They say so themselves, so there is nothing to create. */

import type { ApiClient } from '../../../api/client.ts'
import type { Presence } from '../../../api/model.ts'
import { deletePresence, listPresence } from '../../../api/routes.ts'
import { isUuid } from '../../../common/names.ts'
import { BadParameter, NotFound } from '../../../errors/errors.ts'
import { allPages } from '../pages.ts'
import type { ResourceKind } from './types.ts'

export const nodeHeadings = ['Nodename', 'UUID', 'Address', 'Labels'] as const

export const node: ResourceKind = {
  headings: nodeHeadings,
  async list(api, name) {
    const nodes = (await listAllNodes(api)).filter(
      (each) => name === undefined || each.uuid === name || each.hostname === name,
    )
    if (name !== undefined && nodes.length === 0) throw notFound(name)
    return nodes.map((each) => ({
      value: {
        kind: 'node',
        version: 'v2',
        metadata: { name: each.uuid, labels: each.labels, expires: each.expires },
        spec: {
          addr: each.address,
          hostname: each.hostname,
          public_addrs: each.publicAddresses,
          version: each.version,
        },
      },
      rows: [nodeRow(each)],
    }))
  },
  parse: 'nodes come by joining; make a token for it with tctl nodes add',
  async remove(api, name) {
    await api.call(deletePresence, { params: { role: 'node', uuid: await nodeUuid(api, name) } })
    return `node '${name}'`
  },
}

/** By name, then uuid. */
export async function listAllNodes(api: ApiClient): Promise<readonly Presence[]> {
  const nodes = await allPages<Presence>((query) => api.call(listPresence, { query: { role: 'node', ...query } }))
  return nodes.sort((a, b) => a.hostname.localeCompare(b.hostname) || a.uuid.localeCompare(b.uuid))
}

export const nodeRow = (each: Presence): readonly string[] => [
  each.hostname,
  each.uuid,
  each.address,
  Object.entries(each.labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(','),
]

async function nodeUuid(api: ApiClient, name: string): Promise<string> {
  if (isUuid(name)) return name
  const matches = (await listAllNodes(api)).filter((each) => each.hostname === name)
  const [only] = matches
  if (only === undefined) throw notFound(name)
  if (matches.length > 1) throw new BadParameter('resource', `${matches.length} nodes are called ${name}; use the UUID`)
  return only.uuid
}

const notFound = (name: string) => new NotFound(`node ${JSON.stringify(name)} is not found`)
