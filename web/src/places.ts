/** Where one can go, in the order of the bar. What needs a call that the user's roles do not allow is not shown. */

import { sectionsOf } from './admin/sections.ts'
import type { CallName, WebUser } from './api.ts'
import { text } from './text.ts'

export interface Place {
  readonly to:
    | '/web/nodes'
    | '/web/terminal'
    | '/web/sessions'
    | '/web/recordings'
    | '/web/requests'
    | '/web/audit'
    | '/web/admin'
  readonly name: string
  readonly needs?: CallName
  /** Instead: whether there is anything for this user. */
  readonly isFor?: (user: WebUser | undefined) => boolean
}

export const places: readonly Place[] = [
  { to: '/web/nodes', name: text.nav.nodes },
  { to: '/web/terminal', name: text.nav.terminal },
  { to: '/web/sessions', name: text.nav.sessions, needs: 'GET /v1/sessions' },
  { to: '/web/recordings', name: text.nav.recordings, needs: 'GET /v1/recordings' },
  { to: '/web/requests', name: text.nav.requests },
  { to: '/web/audit', name: text.nav.audit, needs: 'GET /v1/audit/events' },
  { to: '/web/admin', name: text.nav.admin, isFor: (user) => sectionsOf(user).length > 0 },
]
