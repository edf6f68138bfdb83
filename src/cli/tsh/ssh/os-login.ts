/** Which account on the node is meant when the user names none. */

import { AccessDenied } from '../../../errors/errors.ts'
import type { ActiveLogin } from '../login-state.ts'
import type { SshRequest } from './options.ts'

/** The login on the node: as asked, else the local user's if the certificate has it, else the certificate's first. */
export function osLogin(request: Pick<SshRequest, 'login'>, login: ActiveLogin): string {
  if (request.login !== undefined) return request.login
  const principals = login.certificate.principals.filter((name) => !name.startsWith('-'))
  const local = process.env.USER ?? process.env.LOGNAME
  if (local !== undefined && principals.includes(local)) return local
  const [first] = principals
  if (first === undefined)
    throw new AccessDenied('your certificate allows no login; ask an administrator for a role with logins')
  return first
}
