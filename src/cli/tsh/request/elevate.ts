/** From a login and an approved request to a login that has the roles of both. */

import type { ApiClient } from '../../../api/client.ts'
import type { AccessRequestRecord } from '../../../api/request-model.ts'
import { createAccessRequest, getAccessRequest, renewUser } from '../../../api/routes.ts'
import { type Env, realEnv } from '../../../common/env.ts'
import { quote } from '../../../common/text.ts'
import { generateEd25519 } from '../../../ssh/keys/private-key.ts'
import { formatPrivateKey } from '../../../ssh/keys/private-key-file.ts'
import { printable } from '../../common/printable.ts'
import { withAuthApi } from '../auth-api.ts'
import { publicKeyLine } from '../keys.ts'
import { type ActiveLogin, openLogin } from '../login-state.ts'
import type { StoredLogin } from '../profile.ts'
import { waitForApproval } from './wait.ts'

export interface Ask {
  readonly roles: readonly string[]
  readonly reason: string
  readonly reviewers: readonly string[]
}

export const ask = (api: ApiClient, { roles, reason, reviewers }: Ask): Promise<AccessRequestRecord> =>
  api.call(createAccessRequest, { body: { roles: [...roles], reason, reviewers: [...reviewers] } })

/** A new request, or one that was made before; waits until it is decided. Ctrl-C leaves the request as it is. */
export async function askAndWait(
  login: ActiveLogin,
  wanted: Ask | { readonly id: string },
  env: Pick<Env, 'sleep' | 'now'> = realEnv,
): Promise<AccessRequestRecord> {
  const request = await withAuthApi(login, (api) =>
    'id' in wanted ? api.call(getAccessRequest, { params: { id: wanted.id } }) : ask(api, wanted),
  )
  if (request.state === 'pending') {
    process.stderr.write(
      printable(
        `Waiting for the approval of the request ${request.id} (${request.roles.join(', ')}); Ctrl-C stops waiting, not the request.`,
      ).concat('\n'),
    )
  }
  const approved = await waitForApproval((work) => withAuthApi(login, work), request, env)
  const why = approved.resolveReason === '' ? '' : `: ${quote(approved.resolveReason)}`
  process.stderr.write(`${printable(`The request has been approved${why}.`)}\n`)
  return approved
}

/** The same login with another key and the roles of the request, too. */
export async function elevate(login: ActiveLogin, request: AccessRequestRecord): Promise<StoredLogin> {
  const key = generateEd25519(undefined, `teleport:${login.profile.user}`)
  const credentials = await withAuthApi(login, (api) =>
    api.call(renewUser, { body: { publicKey: publicKeyLine(key.publicKey), accessRequests: [request.id] } }),
  )
  const stored: StoredLogin = {
    profile: login.profile,
    privateKey: formatPrivateKey(key),
    certificate: credentials.certificate.trim(),
    hostAuthorities: credentials.hostAuthorities.filter(({ type }) => type === 'host').flatMap(({ keys }) => keys),
  }
  // Throws when the certificate is not for the key.
  openLogin(stored, false)
  return stored
}
