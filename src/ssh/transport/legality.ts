/** Which messages a peer may send in which state. What is not legal ends the connection before any handler sees it. */

import { Message } from './messages.ts'

export type Verdict = 'handler' | 'ignore' | 'unknown' | 'violation'

/** For messages that the transport does not handle itself. `role` is ours. */
export function judge(type: number, role: 'client' | 'server', authenticated: boolean): Verdict {
  if (type >= Message.CONNECTION_FIRST && type <= Message.CONNECTION_LAST) {
    // Channels before a login are how half of all bastion holes begin: no handler sees them.
    return authenticated ? 'handler' : 'violation'
  }
  if (type === Message.SERVICE_REQUEST || type === Message.SERVICE_ACCEPT) {
    const forUs = (type === Message.SERVICE_REQUEST) === (role === 'server')
    return forUs && !authenticated ? 'handler' : 'violation'
  }
  if (type >= Message.USERAUTH_REQUEST && type < Message.CONNECTION_FIRST) {
    return role === 'server' ? judgeFromClient(type, authenticated) : judgeFromServer(type, authenticated)
  }
  return 'unknown'
}

function judgeFromClient(type: number, authenticated: boolean): Verdict {
  if (type !== Message.USERAUTH_REQUEST) return 'violation'
  // RFC 4252 section 5.1: requests that were on their way when another succeeded are silently ignored.
  return authenticated ? 'ignore' : 'handler'
}

function judgeFromServer(type: number, authenticated: boolean): Verdict {
  if (type === Message.USERAUTH_REQUEST) return 'violation'
  if (!authenticated) return 'handler'
  return type === Message.USERAUTH_BANNER ? 'ignore' : 'violation'
}
