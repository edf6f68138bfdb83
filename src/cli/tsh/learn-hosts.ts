/** Learning of new host authorities by the way, from commands that speak with the auth API anyhow. */

import type { ApiClient } from '../../api/client.ts'
import { listAuthorities } from '../../api/routes.ts'
import { equalKeys } from '../../ssh/keys/public-key.ts'
import { publicKeyOfLine } from './keys.ts'
import type { ActiveLogin } from './login-state.ts'
import { trustHosts } from './trust.ts'

/** Learns over a connection that stands whether the cluster trusts other host authorities now. What stands in the way is no failure. */
export async function learnHosts(login: ActiveLogin, api: ApiClient): Promise<void> {
  const items = await api.call(listAuthorities).then(
    (answer) => answer.items,
    () => [],
  )
  const lines = items.find((item) => item.type === 'host')?.keys
  if (lines === undefined) return
  const keys = lines.map((line) => publicKeyOfLine(line, 'authority'))
  const known = login.hostAuthorities
  if (keys.length === known.length && keys.every((key) => known.some((other) => equalKeys(key, other)))) return
  trustHosts(login, keys)
}
