/** `tctl nodes ls` */

import { formatTable } from '../../../common/text.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'
import { listAllNodes, nodeHeadings, nodeRow } from '../resources/node.ts'

export const nodesLs: CommandRun = ({ options }) =>
  withAdminApi(options, async (api) => {
    const nodes = await listAllNodes(api)
    await print(options.string('format'), nodes, () => formatTable(nodeHeadings, nodes.map(nodeRow)))
    return 0
  })
