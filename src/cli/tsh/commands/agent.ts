/** `tsh agent`: an ssh-agent that holds the login's certificate and nothing else, for plain ssh. */

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { convertSystemError } from '../../../errors/system.ts'
import { MemoryAgent } from '../../../ssh/agent/memory.ts'
import { serveAgent } from '../../../ssh/agent/server.ts'
import type { AgentBackend } from '../../../ssh/agent/types.ts'
import type { CommandRun } from '../../common/spec.ts'
import { validBefore } from '../keys.ts'
import { agentComment } from '../local-agent.ts'
import { type ActiveLogin, activeLogin, wantedFrom } from '../login-state.ts'
import { shellQuote } from './env.ts'

/** An agent with this login that takes no other keys. */
export function loginAgent(login: ActiveLogin, now: Date): AgentBackend {
  const memory = new MemoryAgent()
  const lifetimeSeconds = Math.max(1, Math.floor((validBefore(login.certificate).getTime() - now.getTime()) / 1000))
  const entry = { key: login.key, comment: agentComment(login.profile.user), lifetimeSeconds }
  memory.add({ ...entry, certificate: login.certificate })
  return {
    list: () => memory.list(),
    sign: (blob, data, algorithm) => memory.sign(blob, data, algorithm),
  }
}

export const agent: CommandRun = async ({ options }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  const backend = loginAgent(login, new Date())
  const given = options.string('socket')
  const directory = given === undefined ? mkdtempSync(join(tmpdir(), 'teleport-agent-')) : undefined
  const path = given ?? join(directory ?? '', 'agent.sock')
  const server = createServer((socket) => void serveAgent(socket, backend))
  try {
    await listen(server, path)
    process.stdout.write(`SSH_AUTH_SOCK=${shellQuote(path)}; export SSH_AUTH_SOCK;\n`)
    process.stderr.write('Serving the certificate; Ctrl-C ends it.\n')
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
    })
    return 0
  } finally {
    server.close()
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  }
}

/** The socket is made for its owner alone, whatever the umask is: whoever connects can log in as the user. */
function listen(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o177)
  return new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(convertSystemError(error, `listen on ${path}`)))
    server.listen(path, () => resolve())
  }).finally(() => process.umask(mask))
}
