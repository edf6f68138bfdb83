/** The login to use for a session on a node: one that proves a second factor where the node asks for it. Loaded only for users of whom some node may ask. */

import { authApiHost, connectAuthAsUser } from '../../../api/connect.ts'
import { checkSessionMfa, sessionCertificate, startCeremony } from '../../../api/routes.ts'
import { joinLogin } from '../../../api/session-model.ts'
import { AccessDenied } from '../../../errors/errors.ts'
import type { SshClient } from '../../../ssh/client-types.ts'
import { generateEd25519 } from '../../../ssh/keys/private-key.ts'
import { printable } from '../../common/printable.ts'
import { certificateOfLine, publicKeyLine } from '../keys.ts'
import type { ActiveLogin } from '../login-state.ts'
import { grantFor } from './grants.ts'
import { prove } from './prove.ts'

/** Questions come one after the other, however many connections are opened at once. */
let asking: Promise<unknown> = Promise.resolve()

/** `batch`: many nodes at once, for which one proof each would be asked. Throws AccessDenied without a proof. */
export async function sessionLogin(
  proxy: SshClient,
  login: ActiveLogin,
  target: { readonly host: string; readonly login: string },
  batch: boolean,
): Promise<ActiveLogin> {
  const { profile, hostAuthorities } = login
  const api = await connectAuthAsUser({
    stream: await proxy.openDirectTcpip(authApiHost, 0),
    user: profile.user,
    identity: { signer: login.key, certificate: login.certificate },
    hostAuthorities,
    clusterName: profile.cluster,
  })
  try {
    const { host } = target
    const joining = target.login === joinLogin
    const { required, node, choice } = await api.call(checkSessionMfa, { body: { host, joining } })
    if (!required || node === undefined) return login
    const grant = grantFor(login, { ...node, clusterName: profile.cluster }, new Date())
    if (grant !== undefined) return { ...login, certificate: grant }
    if (batch) {
      throw new AccessDenied(
        `${printable(node.hostname)} requires a second factor for each session; for many at once prove it first: tsh mfa grant --hosts=…`,
      )
    }
    const key = generateEd25519(undefined, `teleport:${profile.user}`)
    // The uuid: nobody else can be meant by then.
    const action = { kind: 'session', publicKey: publicKeyLine(key.publicKey), host: node.uuid } as const
    const turn = asking.then(async () => {
      process.stderr.write(`A second factor is required for each session on ${printable(node.hostname)}.\n`)
      return await prove({
        choice,
        settings: login.mfa,
        recovery: false,
        start: (callback) => api.call(startCeremony, { body: { action, callback } }),
      })
    })
    asking = turn.catch(() => undefined)
    const proof = await turn
    const { certificate } = await api.call(sessionCertificate, { body: { action, proof } })
    return { ...login, key, certificate: certificateOfLine(certificate, 'certificate') }
  } finally {
    void api.close()
  }
}
