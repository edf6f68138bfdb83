/** `tctl status` */

import type { ApiClient, CallOutput } from '../../../api/client.ts'
import type { RotationReport } from '../../../api/rotation-routes.ts'
import { getRotation, getStatus } from '../../../api/routes.ts'
import { formatPairs } from '../../../common/text.ts'
import { isAccessDenied } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'
import { authorityText, waitingRows } from '../rotation-text.ts'

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

/** Who has not followed is for those who may know of every machine. */
async function rotationOf(
  api: ApiClient,
  { authorities }: CallOutput<typeof getStatus>,
): Promise<RotationReport | undefined> {
  if (!authorities.some(({ rotation }) => rotation !== undefined)) return undefined
  return await api.call(getRotation).catch((error: unknown) => {
    if (isAccessDenied(error)) return undefined
    throw error
  })
}

export const status: CommandRun = ({ options }) =>
  withAdminApi(options, async (api) => {
    const value = await api.call(getStatus)
    const report = await rotationOf(api, value)
    const rotated = (type: 'user' | 'host') =>
      authorityText(value.authorities.find((authority) => authority.type === type) ?? {}, new Date(value.time))
    const all = report === undefined ? value : { ...value, waitingFor: report.waitingFor }
    await print(options.string('format'), all, () =>
      formatPairs([
        ['Cluster', value.clusterName],
        ['Version', value.version],
        ['Host CA', rotated('host')],
        ['User CA', rotated('user')],
        ['Jwt CA', 'never updated'],
        ...(report === undefined ? [] : waitingRows(report)),
        ...auditAlarms(value.audit),
        ...(value.recordingAlarm === undefined
          ? []
          : [['Recordings', value.recordingAlarm] satisfies [string, string]]),
        ...value.caPins.map((pin): [string, string] => ['CA pin', pin]),
      ]),
    )
    return 0
  })
