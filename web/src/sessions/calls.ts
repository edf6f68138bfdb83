/** Open sessions from the auth service. */

import type { CallOutput, routes } from '../../../src/api/web-calls.ts'
import { auth } from '../api.ts'

export type OpenSession = CallOutput<typeof routes.getSession>
export type Mode = OpenSession['modes'][number]

const pageSize = 1000

/** Asked by the page itself every few seconds: that counts as nobody being there. */
export async function listSessions(signal: AbortSignal): Promise<readonly OpenSession[]> {
  const found: OpenSession[] = []
  let after: string | undefined
  do {
    const query = { limit: pageSize, ...(after === undefined ? {} : { after }) }
    const page = await auth<typeof routes.listSessions>('GET /v1/sessions', { query }, { signal, background: true })
    found.push(...page.items)
    after = page.next
  } while (after !== undefined)
  return found
}

export const getSession = (sid: string, signal: AbortSignal): Promise<OpenSession> =>
  auth<typeof routes.getSession>('GET /v1/sessions/:sid', { params: { sid } }, { signal, background: true })
