/** Where one can go, in the order of the bar. What needs a call that the user's roles do not allow is not shown. */

import type { CallName } from './api.ts'
import { text } from './text.ts'

export interface Place {
  readonly to: '/web/nodes' | '/web/terminal'
  readonly name: string
  readonly needs?: CallName
}

export const places: readonly Place[] = [
  { to: '/web/nodes', name: text.nav.nodes },
  { to: '/web/terminal', name: text.nav.terminal },
]
