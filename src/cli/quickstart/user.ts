/** The quickstart's user: the person who runs it, who may log in as that account and edit everything. */

import { userInfo } from 'node:os'
import { join } from 'node:path'
import { connectAuth } from '../../api/connect.ts'
import { loadIdentity } from '../../api/identity.ts'
import { createUser, getUser, resetUser } from '../../api/routes.ts'
import { formatAddress, reachable } from '../../common/address.ts'
import { realEnv } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import type { Config } from '../../config/types.ts'
import { isNotFound } from '../../errors/errors.ts'

export interface QuickstartUser {
  readonly name: string
  readonly login: string
  /** Where to set password and second factor; undefined when that has been done. */
  readonly inviteUrl: string | undefined
}

const linkSeconds = 8 * 3600

export async function ensureUser(config: Config, logger: Logger): Promise<QuickstartUser> {
  const login = userInfo().username
  const name = login
  const admin = await loadIdentity(join(config.dataDir, 'auth', 'admin.json'))
  const addresses = [formatAddress(reachable(config.auth.listenAddr))]
  const api = connectAuth({ addresses, identity: () => admin, env: realEnv, logger })
  try {
    const known = await api.call(getUser, { params: { name } }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
    if (known?.activated === true) return { name, login, inviteUrl: undefined }
    if (known !== undefined) {
      const { url } = await api.call(resetUser, { params: { name }, body: { ttlSeconds: linkSeconds } })
      return { name, login, inviteUrl: url }
    }
    const { invite } = await api.call(createUser, {
      body: {
        name,
        roles: ['access', 'editor', 'auditor'],
        traits: { logins: [login] },
        inviteTtlSeconds: linkSeconds,
      },
    })
    return { name, login, inviteUrl: invite?.url }
  } finally {
    await api.close()
  }
}
