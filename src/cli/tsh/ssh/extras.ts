/** What only some sessions need: forwards, the agent that `-A` shows, `--local`. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { BadParameter, NotFound } from '../../../errors/errors.ts'
import { serveAgent } from '../../../ssh/agent/server.ts'
import { loginAgent } from '../commands/agent.ts'
import type { ActiveLogin } from '../login-state.ts'
import { remoteHandlers, startForwards } from './forwards.ts'
import type { SshRequest } from './options.ts'
import type { Extras } from './run-node.ts'

export function extrasOf(request: SshRequest, login: ActiveLogin): Extras {
  const { forwards } = request
  return {
    handlers: {
      ...(forwards.some((forward) => forward.kind === 'remote') ? remoteHandlers(forwards) : {}),
      ...(request.forwardAgent ? { onAgent: () => openLocalAgent(login) } : {}),
    },
    start: async (client) =>
      forwards.length === 0 ? undefined : await startForwards(client, forwards, request.exitOnForwardFailure),
    local: request.local ? () => runLocally(request) : undefined,
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
