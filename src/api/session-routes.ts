/** The part of the auth API for sessions that are open now: nodes report them, people list and join. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { page, pageOf } from './pages.ts'
import { activeSession, partyMode } from './session-model.ts'

export const reportSessions = endpoint({
  method: 'PUT',
  path: '/v1/sessions',
  summary:
    "All open sessions of a process of the caller's node, whenever they change and every 30 s; forgotten after 90 s of silence",
  callers: ['Node'],
  /** `process`: while a node is replaced, its old process still has sessions, and each tells of its own. */
  body: z.strictObject({ process: z.uuid(), sessions: z.array(activeSession).max(10_000) }),
  output: empty,
  maxBody: 16 * 1024 * 1024,
})
export const listSessions = endpoint({
  method: 'GET',
  path: '/v1/sessions',
  summary: 'Open sessions; a user sees their own and those they may join',
  callers: ['Admin', 'User'],
  userRule: 'self',
  query: z.strictObject(page),
  /** `modes`: how the caller may join it. */
  output: pageOf(activeSession.extend({ modes: z.array(partyMode) })),
})
export const getSession = endpoint({
  method: 'GET',
  path: '/v1/sessions/:sid',
  summary: 'One open session; one that the caller may not see does not exist for them',
  callers: ['Admin', 'User'],
  userRule: 'self',
  params: z.strictObject({ sid: z.uuid() }),
  output: activeSession.extend({ modes: z.array(partyMode) }),
})
