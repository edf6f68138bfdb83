/** `tctl status` */

import { getStatus } from '../../../api/routes.ts'
import { formatPairs } from '../../../common/text.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'

export const status: CommandRun = ({ options }) =>
  withAdminApi(options, async (api) => {
    const value = await api.call(getStatus)
    const rotated = (type: 'user' | 'host') => {
      const time = value.authorities.find((authority) => authority.type === type)?.rotated
      return time === undefined ? 'never updated' : `rotated ${time}`
    }
    await print(options.string('format'), value, () =>
      formatPairs([
        ['Cluster', value.clusterName],
        ['Version', value.version],
        ['Host CA', rotated('host')],
        ['User CA', rotated('user')],
        ['Jwt CA', 'never updated'],
        ...value.caPins.map((pin): [string, string] => ['CA pin', pin]),
      ]),
    )
    return 0
  })
