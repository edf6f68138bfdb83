/** The parts of the administration, and which calls each of them cannot do without. */

import { type CallName, may, type WebUser } from '../api.ts'
import type { adminText } from '../text/admin.ts'

export const sections = [
  { id: 'overview', needs: [] },
  { id: 'users', needs: ['GET /v1/users'] },
  { id: 'resources', needs: ['GET /v1/roles', 'GET /v1/settings/networking'] },
  { id: 'explain', needs: ['GET /v1/access/explain'] },
  { id: 'locks', needs: ['GET /v1/locks'] },
  { id: 'tokens', needs: ['GET /v1/tokens', 'POST /v1/tokens'] },
  { id: 'authorities', needs: ['GET /v1/authorities/rotation'] },
] as const satisfies readonly { readonly id: keyof typeof adminText.names; readonly needs: readonly CallName[] }[]

export type SectionId = (typeof sections)[number]['id']

/** Any of the calls is enough. Whoever administers something sees the overview too. */
export function sectionsOf(user: WebUser | undefined): SectionId[] {
  const own = sections.filter(({ needs }) => needs.some((call) => may(user, call))).map(({ id }) => id)
  return own.length === 0 ? [] : ['overview', ...own]
}
