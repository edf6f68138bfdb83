/** `teleport status`: the session that it runs in, from the environment that the node made. */

import { formatPairs } from '../../../common/text.ts'
import { NotFound } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'

export const status: CommandRun = async ({ options }) => {
  const { env } = process
  const user = env.SSH_TELEPORT_USER
  if (user === undefined || user === '') throw new NotFound('not inside a Teleport session')
  const proxy = env.SSH_SESSION_WEBPROXY_ADDR ?? ''
  const cluster = env.SSH_TELEPORT_CLUSTER_NAME ?? ''
  const session = env.SSH_SESSION_ID ?? ''
  const url = proxy === '' ? '' : `https://${proxy}/web/sessions/${session}`
  const value = { user, cluster, hostUuid: env.SSH_TELEPORT_HOST_UUID ?? '', sessionId: session, sessionUrl: url }
  await print(options.string('format'), value, () =>
    formatPairs([
      ['User ID', value.user],
      ['Cluster Name', value.cluster],
      ['Host UUID', value.hostUuid],
      ['Session ID', value.sessionId],
      ['Session URL', value.sessionUrl],
    ]),
  )
  return 0
}
