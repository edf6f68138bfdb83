/** The auth API for a logged-in user: SSH to an auth server inside a channel of the proxy connection. */

import { type AuthConnection, authApiHost, connectAuthAsUser } from '../../api/connect.ts'
import { connectProxy } from './connect.ts'
import type { ActiveLogin } from './login-state.ts'

/** Runs `work` with the API of the login's cluster and closes both connections afterwards. */
export async function withAuthApi<T>(login: ActiveLogin, work: (api: AuthConnection) => Promise<T>): Promise<T> {
  const proxy = await connectProxy(login)
  try {
    const stream = await proxy.openDirectTcpip(authApiHost, 0)
    const api = await connectAuthAsUser({
      stream,
      user: login.profile.user,
      identity: { signer: login.key, certificate: login.certificate },
      hostAuthorities: login.hostAuthorities,
      clusterName: login.profile.cluster,
    })
    return await work(api).finally(() => api.close())
  } finally {
    await proxy.close()
  }
}
