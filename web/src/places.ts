/** Where one can go, in the order of the bar. What needs a call that the user's roles do not allow is not shown. */

import type { CallName } from './api.ts'
import { text } from './text.ts'

export interface Place {
  readonly to: '/web/nodes' | '/web/terminal' | '/web/sessions' | '/web/recordings'
  readonly name: string
  readonly needs?: CallName
}

export const places: readonly Place[] = [
  { to: '/web/nodes', name: text.nav.nodes },
  { to: '/web/terminal', name: text.nav.terminal },
  { to: '/web/sessions', name: text.nav.sessions, needs: 'GET /v1/sessions' },
  { to: '/web/recordings', name: text.nav.recordings, needs: 'GET /v1/recordings' },
]
