/** Settings of the whole cluster, each a resource of which there is one. */

import { getConfig } from '../../../api/routes.ts'
import type { ResourceKind } from './types.ts'

export const authPreference: ResourceKind = {
  headings: ['Type', 'Second Factor'],
  async list(api) {
    const config = await api.call(getConfig)
    return [
      {
        value: {
          kind: 'cluster_auth_preference',
          version: 'v2',
          metadata: { name: 'cluster-auth-preference' },
          spec: {
            type: 'local',
            second_factor: config.secondFactor,
            disconnect_expired_cert: config.disconnectExpiredCert,
            message_of_the_day: config.messageOfTheDay,
          },
        },
        rows: [['local', config.secondFactor]],
      },
    ]
  },
  parse: 'it is set in the configuration file',
  remove: 'it is set in the configuration file',
}
