/** `tctl status` */

import type { CallOutput } from '../../../api/client.ts'
import { getStatus } from '../../../api/routes.ts'
import { formatPairs } from '../../../common/text.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'

/** Only what needs somebody to act. */
function auditAlarms(audit: CallOutput<typeof getStatus>['audit']): [string, string][] {
  const alarms: [string, string][] = []
  if (audit?.damaged === true) alarms.push(['Audit log', 'DAMAGED: run tctl audit verify'])
  switch (audit?.disk) {
    case 'low':
      alarms.push(['Audit disk', 'nearly full: free some space'])
      break
    case 'reserve':
      alarms.push(['Audit disk', 'FULL: only logins are possible; free some space'])
      break
    case 'full':
      alarms.push(['Audit disk', 'FULL: nothing that must be recorded is possible; free some space'])
      break
  }
  return alarms
}

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
        ...auditAlarms(value.audit),
        ...(value.recordingAlarm === undefined
          ? []
          : [['Recordings', value.recordingAlarm] satisfies [string, string]]),
        ...value.caPins.map((pin): [string, string] => ['CA pin', pin]),
      ]),
    )
    return 0
  })
