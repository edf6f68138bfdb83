/** `tsh ls`: the nodes that the user may reach. */

import { formatTable } from '../../../common/text.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { activeLogin, wantedFrom } from '../login-state.ts'
import { type ListedNode, listNodes, matchesSelector } from '../nodes.ts'
import { parseSelector } from '../ssh/options.ts'

export const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')

export const ls: CommandRun = async ({ options, args }) => {
  const selector = args[0] === undefined ? new Map<string, string>() : parseSelector(args[0])
  const query = options.string('query')?.toLowerCase()
  const login = activeLogin(wantedFrom(options), new Date())
  const verbose = options.flag('verbose')
  const nodes = (await listNodes(login, { logins: verbose })).filter((node) => {
    if (!matchesSelector(node.labels, selector)) return false
    if (query === undefined) return true
    return [node.hostname, node.address, labelText(node.labels)].some((text) => text.toLowerCase().includes(query))
  })
  await print(options.string('format'), nodes, () => (verbose ? verboseTable(nodes) : shortTable(nodes)))
  return 0
}

const shortTable = (nodes: readonly ListedNode[]): string =>
  formatTable(
    ['Node Name', 'Address', 'Labels'],
    nodes.map(({ hostname, address, labels }) => [hostname, address, labelText(labels)]),
  )

/** The logins stand last: scripts know the columns before them. */
const verboseTable = (nodes: readonly ListedNode[]): string =>
  formatTable(
    ['Node Name', 'Node ID', 'Address', 'Labels', 'Logins'],
    nodes.map(({ hostname, uuid, address, labels, logins = [] }) => [
      hostname,
      uuid,
      address,
      labelText(labels),
      logins.join(', '),
    ]),
  )
