/** The nodes of the cluster that the user may see, and which of them a selector means. */

import type { Presence } from '../../api/model.ts'
import { listPresence } from '../../api/routes.ts'
import { withAuthApi } from './auth-api.ts'
import { learnHosts } from './learn-hosts.ts'
import type { ActiveLogin } from './login-state.ts'

/** Every label of the selector, with exactly that value. */
export const matchesSelector = (
  labels: Readonly<Record<string, string>>,
  selector: ReadonlyMap<string, string>,
): boolean => [...selector].every(([name, value]) => labels[name] === value)

/** `logins` when they were asked for: those that the user may use there. */
export type ListedNode = Presence & { readonly logins?: readonly string[] | undefined }

/** All nodes the user may see, sorted by name. */
export async function listNodes(
  login: ActiveLogin,
  ask: { readonly logins?: boolean } = {},
): Promise<readonly ListedNode[]> {
  return await withAuthApi(login, async (api) => {
    // On the way, and for plain `ssh` too, whose known hosts are kept with the login.
    const learning = learnHosts(login, api)
    const nodes: ListedNode[] = []
    const logins = ask.logins === true ? ({ logins: 'true' } as const) : {}
    let after: string | undefined
    do {
      const page = await api.call(listPresence, {
        query: { role: 'node', ...logins, ...(after === undefined ? {} : { after }) },
      })
      nodes.push(...page.items)
      after = page.next
    } while (after !== undefined)
    await learning
    return nodes.sort((a, b) => a.hostname.localeCompare(b.hostname) || a.uuid.localeCompare(b.uuid))
  })
}
