/** Waiting for a request to be decided: asks again and again, over a new connection when one was lost, until it is over. */

import type { ApiClient } from '../../../api/client.ts'
import type { AccessRequestRecord } from '../../../api/request-model.ts'
import { getAccessRequest } from '../../../api/routes.ts'
import type { Env } from '../../../common/env.ts'
import { AccessDenied, isConnectionProblem } from '../../../errors/errors.ts'

/** Milliseconds between two questions, and after a lost connection. */
const askEvery = 1_000
const retryAfter = 3_000

/** Opens a connection and closes it afterwards. */
export type WithApi = <T>(work: (api: ApiClient) => Promise<T>) => Promise<T>

/** Resolves with the approved request. Throws AccessDenied with the reason when it is denied, NotFound when it is removed or over. */
export async function waitForApproval(
  withApi: WithApi,
  request: AccessRequestRecord,
  env: Pick<Env, 'sleep' | 'now'>,
): Promise<AccessRequestRecord> {
  const { id } = request
  for (;;) {
    try {
      return await withApi(async (api) => {
        for (;;) {
          const found = await api.call(getAccessRequest, { params: { id } })
          if (found.state === 'approved') return found
          if (found.state === 'denied') throw denied(found)
          await env.sleep(askEvery)
        }
      })
    } catch (error) {
      if (!isConnectionProblem(error) || env.now().getTime() > Date.parse(request.pendingUntil)) throw error
      await env.sleep(retryAfter)
    }
  }
}

const denied = ({ id, resolveReason }: AccessRequestRecord): AccessDenied =>
  new AccessDenied(`the request ${id} has been denied${resolveReason === '' ? '' : `: ${resolveReason}`}`)
