/** What only some sessions need: forwards, the agent that `-A` shows, the display of `-X`, `--local`. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { realEnv } from '../../../common/env.ts'
import { BadParameter, NotFound } from '../../../errors/errors.ts'
import { serveAgent } from '../../../ssh/agent/server.ts'
import { errorLine } from '../../common/exit.ts'
import { loginAgent } from '../commands/agent.ts'
import type { ActiveLogin } from '../login-state.ts'
import { remoteHandlers, startForwards } from './forwards.ts'
import type { SshRequest } from './options.ts'
import type { Extras } from './run-node.ts'
import type { X11Client } from './x11.ts'

export async function extrasOf(request: SshRequest, login: ActiveLogin): Promise<Extras> {
  const { forwards } = request
  const x11 = await openX11(request)
  return {
    handlers: {
      ...(forwards.some((forward) => forward.kind === 'remote') ? remoteHandlers(forwards) : {}),
      ...(request.forwardAgent ? { onAgent: () => openLocalAgent(login) } : {}),
      ...(x11 === undefined ? {} : { onX11: () => x11.open() }),
    },
    start: async (client) =>
      forwards.length === 0 ? undefined : await startForwards(client, forwards, request.exitOnForwardFailure),
    x11,
    local: request.local ? () => runLocally(request) : undefined,
  }
}

/** As with `ssh`, what stands in the way is a warning: the session itself does not need a display. */
async function openX11({ x11, selector, command }: SshRequest): Promise<X11Client | undefined> {
  if (x11 === undefined) return undefined
  if (selector !== undefined && command !== undefined) {
    throw new BadParameter('-X', '-X and -Y are for one host; name it instead of its labels')
  }
  try {
    const { prepareX11 } = await import('./x11.ts')
    return await prepareX11(x11, realEnv)
  } catch (error) {
    process.stderr.write(`tsh: warning: no X11 forwarding: ${errorLine(error)}\n`)
    return undefined
  }
}

async function runLocally(request: SshRequest): Promise<number> {
  const [program, ...args] = request.commandWords
  if (program === undefined) throw new BadParameter('--local', '--local needs a command to run')
  const child = spawn(program, args, { stdio: 'inherit' })
  return await new Promise((resolve, reject) => {
    child.once('error', () => reject(new NotFound(`cannot run ${program} on this machine: no such program`)))
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)))
  })
}

/** The running ssh-agent, or without one an agent with this login's certificate. */
async function openLocalAgent(login: ActiveLogin): Promise<Duplex> {
  const path = process.env.SSH_AUTH_SOCK
  if (path !== undefined && path !== '') {
    const socket = createConnection(path)
    await once(socket, 'connect')
    return socket
  }
  const [near, far] = duplexPair()
  void serveAgent(near, loginAgent(login, new Date()))
  return far
}
