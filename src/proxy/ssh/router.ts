/**
 * Which registered node a client means. Pure, and it never resolves a name: only what registered itself can be reached, so a
 * proxy is no way into the network around it. A node that the asker may not even list is answered like one that does not exist.
 */

import { isIP } from 'node:net'
import type { ClusterCache } from '../../api/cache.ts'
import type { Presence } from '../../api/model.ts'
import type { Destination } from './destination.ts'

/** The part of the cluster's state that routing looks at. */
export type NodeIndex = Pick<
  ClusterCache,
  'serverByUuid' | 'serversByHostname' | 'serversByLabel' | 'serversByAddress'
> & { readonly clusterName: string }

export type Route =
  | { readonly ok: true; readonly node: Presence }
  | {
      readonly ok: false
      readonly kind: 'not-found' | 'ambiguous' | 'other-port' | 'other-cluster'
      readonly reason: string
    }

/** Ports that mean "no port was chosen": none, the one of `ssh` itself, and the one of configurations written for our default. */
const unchosenPorts: readonly number[] = [0, 22, 3022]
const maxListed = 10
const uuidShape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * The node for a destination, among those for which `maySee` holds. Looks for a uuid or a node name (either with `.cluster`), then
 * for a registered address, then for a label; the first kind that finds something decides.
 */
export function route(index: NodeIndex, asked: Destination, maySee: (node: Presence) => boolean): Route {
  const { host, port, cluster } = asked
  if (cluster !== undefined && cluster.toLowerCase() !== index.clusterName.toLowerCase()) {
    return refuse('other-cluster', `cluster "${cluster}" is not known here; this is ${index.clusterName}`)
  }
  for (const find of [byName, byAddress, byLabel]) {
    const visible = unique(find(index, host)).filter(maySee)
    const [only] = visible
    if (only !== undefined) return choose(visible, host, port)
  }
  return refuse('not-found', `node "${host}" is not found`)
}

function byName(index: NodeIndex, host: string): readonly Presence[] {
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  const suffix = `.${index.clusterName}`.toLowerCase()
  const names = name.toLowerCase().endsWith(suffix) ? [name, name.slice(0, -suffix.length)] : [name]
  // The whole name first: a node may be called like the cluster's own domain.
  for (const candidate of names) {
    const one = uuidShape.test(candidate) ? index.serverByUuid('node', candidate.toLowerCase()) : undefined
    if (one !== undefined) return [one]
    const found = index.serversByHostname('node', candidate)
    if (found.length > 0) return found
  }
  return []
}

const byAddress = (index: NodeIndex, host: string): readonly Presence[] => index.serversByAddress('node', host)

function byLabel(index: NodeIndex, host: string): readonly Presence[] {
  const at = host.indexOf('=')
  return at < 1 ? [] : index.serversByLabel('node', host.slice(0, at), host.slice(at + 1))
}

function choose(nodes: readonly Presence[], host: string, port: number): Route {
  const exact = nodes.filter((node) => portsOf(node).includes(port))
  const fitting = exact.length > 0 ? exact : unchosenPorts.includes(port) ? nodes : []
  const [first, second] = fitting
  if (first === undefined) {
    const ports = [...new Set(nodes.flatMap(portsOf))].join(', ')
    return refuse('other-port', `node "${host}" is registered on port ${ports}, not on ${port}`)
  }
  if (second === undefined) return { ok: true, node: first }
  const listed = fitting.slice(0, maxListed).map((node) => `${node.hostname} (${node.uuid}, ${node.address})`)
  const more = fitting.length > maxListed ? `, and ${fitting.length - maxListed} more` : ''
  return refuse('ambiguous', `"${host}" matches ${fitting.length} nodes; use a uuid: ${listed.join(', ')}${more}`)
}

const portsOf = (node: Presence): readonly number[] =>
  [node.address, ...node.publicAddresses].flatMap((address) => {
    const parsed = splitAddress(address)
    return parsed === undefined || parsed.port === 0 ? [] : [parsed.port]
  })

const unique = (nodes: readonly Presence[]): readonly Presence[] => [
  ...new Map(nodes.map((node) => [node.uuid, node])).values(),
]

const refuse = (kind: 'not-found' | 'ambiguous' | 'other-port' | 'other-cluster', reason: string): Route => ({
  ok: false,
  kind,
  reason,
})

/** Host and port of `host:port`, `[v6]:port`, or a host alone (port 0); undefined when it is neither. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } | undefined {
  if (isIP(address) === 6) return { host: address, port: 0 }
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(address)
  const host = match?.groups?.v6 ?? match?.groups?.name
  const port = Number(match?.groups?.port ?? 0)
  return host === undefined || port > 65_535 ? undefined : { host, port }
}
