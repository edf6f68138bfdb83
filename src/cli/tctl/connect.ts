/** How `tctl` reaches the auth service: with the admin identity of this machine, or with an identity file. */

import { connect as connectSocket, type Socket } from 'node:net'
import { join } from 'node:path'
import { type AuthConnection, connectAuth, connectAuthAsUser } from '../../api/connect.ts'
import { loadIdentity } from '../../api/identity.ts'
import { BadParameter, isAccessDenied, isNotFound, NotFound } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'
import { parsePrivateKey } from '../../ssh/keys/private-key-file.ts'
import type { OptionValues } from '../common/spec.ts'
import { joinHostPort, splitHostPort } from '../tsh/address.ts'
import { readIdentityFile } from '../tsh/identity-file.ts'
import { certificateOfLine, publicKeyOfLine } from '../tsh/keys.ts'
import { authDefaults } from './defaults.ts'

const defaultAuthPort = 3025

/** `host` or `host:port`. Throws BadParameter. */
function authAddress(text: string): string {
  const { host, port } = splitHostPort(/:\d+$/.test(text) ? text : `${text}:${defaultAuthPort}`, '--auth-server')
  return joinHostPort(host, port)
}

/** Runs `work` with the auth API and closes the connection afterwards. Returns what `work` returns. */
export async function withAdminApi<T>(options: OptionValues, work: (api: AuthConnection) => Promise<T>): Promise<T> {
  const server = options.string('authServer')
  const file = options.string('identity')
  const api = file === undefined ? await connectAsAdmin(options, server) : await connectWithFile(file, server)
  try {
    return await work(api)
  } finally {
    await api.close()
  }
}

async function connectAsAdmin(options: OptionValues, server: string | undefined): Promise<AuthConnection> {
  const { dataDir, owner, address } = await authDefaults(options.string('config'))
  const path = join(dataDir, 'auth', 'admin.json')
  const identity = await loadIdentity(path, owner).catch((error: unknown) => {
    const remedy = 'run tctl on the auth machine as the user of the auth service, or name an identity file with -i'
    if (isNotFound(error))
      throw new NotFound(`there is no auth service with its data in ${dataDir} on this machine; ${remedy}`, {
        cause: error,
      })
    if (isAccessDenied(error)) throw new BadParameter('data_dir', `${error.message}; ${remedy}`, { cause: error })
    throw error
  })
  return connectAuth({ addresses: [server === undefined ? address : authAddress(server)], identity: () => identity })
}

async function connectWithFile(file: string, server: string | undefined): Promise<AuthConnection> {
  const identity = readIdentityFile(file)
  const { host, port } = splitHostPort(authAddress(server ?? '127.0.0.1'), '--auth-server')
  const certificate = certificateOfLine(identity.certificate, file)
  return await connectAuthAsUser({
    stream: await dial(host, port),
    user: certificate.keyId,
    identity: { signer: parsePrivateKey(identity.privateKey), certificate },
    hostAuthorities: identity.hostAuthorities.map((line) => publicKeyOfLine(line, file)),
    clusterName: identity.cluster,
  })
}

function dial(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port, noDelay: true })
    socket.once('connect', () => resolve(socket))
    socket.once('error', (error) =>
      reject(convertSystemError(error, `reach the auth server at ${joinHostPort(host, port)}`)),
    )
  })
}
