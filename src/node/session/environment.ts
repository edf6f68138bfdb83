/** The environment of one session: the login's, with what the session adds. */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import type { NodeConnection, NodeContext } from '../context.ts'
import type { Account } from '../os/account-files.ts'
import { asUser } from '../os/as-user.ts'
import { type Environment, loginEnvironment, parseEnvironmentFile, readSystemEnvironment } from '../os/login-env.ts'

export interface SessionFacts {
  readonly sessionId: string
  readonly account: Account
  /** Requested by the client. */
  readonly client: ReadonlyMap<string, string>
  /** Of agent and the like: `SSH_AUTH_SOCK`. */
  readonly extras: Readonly<Record<string, string>>
}

export function sessionEnvironment(
  node: NodeContext,
  connection: NodeConnection,
  facts: SessionFacts,
): Record<string, string> {
  const { peer, localAddress, identity } = connection
  const webProxy = node.webProxy()
  return loginEnvironment({
    account: facts.account,
    system: readSystemEnvironment(),
    client: facts.client,
    user: node.permitUserEnvironment ? readUserEnvironment(node, facts.account) : new Map(),
    session: {
      SSH_TELEPORT_USER: identity.identity.user,
      SSH_TELEPORT_CLUSTER_NAME: node.state.clusterName,
      SSH_TELEPORT_HOST_UUID: node.uuid,
      SSH_SESSION_ID: facts.sessionId,
      TELEPORT_SESSION: facts.sessionId,
      ...(webProxy === undefined ? {} : { SSH_SESSION_WEBPROXY_ADDR: webProxy }),
      SSH_CLIENT: `${peer.address} ${peer.port} ${localAddress.port}`,
      SSH_CONNECTION: `${peer.address} ${peer.port} ${localAddress.address} ${localAddress.port}`,
      ...facts.extras,
    },
  })
}

const maxFile = 65_536

/** `~/.tsh/environment`, read with the user's own rights: a link in it leads nowhere that the user could not look. */
function readUserEnvironment(node: NodeContext, account: Account): Environment {
  const path = `${account.home}/.tsh/environment`
  try {
    const text = asUser(account, node.privileges, () => {
      // A FIFO would hold the daemon.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      try {
        if (!fstatSync(fd).isFile()) return ''
        const content = Buffer.alloc(maxFile)
        return content.subarray(0, readSync(fd, content)).toString('utf8')
      } finally {
        closeSync(fd)
      }
    })
    return parseEnvironmentFile(text)
  } catch {
    return new Map()
  }
}
