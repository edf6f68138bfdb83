/** `tsh agent`: an ssh-agent that holds the login's certificate and nothing else, for plain ssh. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Env, realEnv } from '../../../common/env.ts'
import { NotFound } from '../../../errors/errors.ts'
import { convertSystemError } from '../../../errors/system.ts'
import { MemoryAgent } from '../../../ssh/agent/memory.ts'
import { serveAgent } from '../../../ssh/agent/server.ts'
import type { AgentBackend } from '../../../ssh/agent/types.ts'
import { errorLine, exitCodeOf } from '../../common/exit.ts'
import type { CommandRun } from '../../common/spec.ts'
import { socketLine, startBackgroundAgent, startedInBackground, tellStarter } from '../background-agent.ts'
import { validBefore } from '../keys.ts'
import { agentComment } from '../local-agent.ts'
import { type ActiveLogin, activeLogin, type Wanted, wantedFrom } from '../login-state.ts'
import { loginPaths } from '../profile.ts'
import { tshHome } from '../store.ts'

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
  const child = startedInBackground()
  if (options.flag('background') && !child) return await startBackgroundAgent()
  try {
    return await serve(wantedFrom(options), options.string('socket'), child)
  } catch (error) {
    if (!child) throw error
    tellStarter({ error: errorLine(error), code: exitCodeOf(error) })
    return exitCodeOf(error)
  }
}

/** Until a signal, the end of the certificate, or a logout. */
async function serve(wanted: Wanted, socket: string | undefined, child: boolean): Promise<number> {
  const login = activeLogin(wanted, new Date())
  const isThere = presenceOf(login)
  const backend = whileThere(loginAgent(login, new Date()), isThere)
  const directory = socket === undefined ? mkdtempSync(join(tmpdir(), 'teleport-agent-')) : undefined
  const path = resolve(socket ?? join(directory ?? '', 'agent.sock'))
  const server = createServer((connection) => void serveAgent(connection, backend))
  const stop = new AbortController()
  try {
    await listen(server, path)
    if (child) {
      tellStarter({ socket: path })
      // Where it was started may be unmounted one day.
      process.chdir('/')
    } else {
      process.stdout.write(socketLine(path))
      process.stderr.write('Serving the certificate; Ctrl-C ends it.\n')
    }
    const signalled = new Promise<'signal'>((done) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done('signal'))
    })
    const ends = [expiry(validBefore(login.certificate), realEnv, stop.signal), logout(isThere, realEnv, stop.signal)]
    const end = await Promise.race([signalled, ...ends])
    if (end === 'expired' && !child) process.stderr.write('The certificate has expired; log in again with: tsh login\n')
    if (end === 'logout' && !child) process.stderr.write('Logged out.\n')
    return 0
  } finally {
    stop.abort()
    server.close()
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  }
}

/** Is the login that is served still stored? One from an identity file is nobody's to log out of. */
function presenceOf(login: ActiveLogin): () => boolean {
  if (login.fromFile) return () => true
  const { proxyHost, user } = login.profile
  const path = resolve(loginPaths(tshHome(), proxyHost, user).key)
  return () => existsSync(path)
}

/** From the moment of the logout on, it holds nothing. */
const whileThere = (backend: AgentBackend, isThere: () => boolean): AgentBackend => ({
  list: () => (isThere() ? backend.list() : []),
  sign(blob, data, algorithm) {
    if (!isThere()) throw new NotFound('this login has ended')
    return backend.sign(blob, data, algorithm)
  },
})

const lookEveryMs = 2000

async function logout(isThere: () => boolean, env: Env, signal: AbortSignal): Promise<'logout'> {
  while (isThere() && !signal.aborted) await env.sleep(lookEveryMs, signal).catch(() => undefined)
  return 'logout'
}

/** By the wall clock, looked at every minute: a laptop that slept has not counted the time. */
export async function expiry(end: Date, env: Env, signal: AbortSignal): Promise<'expired'> {
  const left = () => end.getTime() - env.now().getTime()
  while (left() > 0 && !signal.aborted) await env.sleep(Math.min(left(), 60_000), signal).catch(() => undefined)
  return 'expired'
}

/** The socket is made for its owner alone, whatever the umask is: whoever connects can log in as the user. */
function listen(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o177)
  return new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(convertSystemError(error, `listen on ${path}`)))
    server.listen(path, () => resolve())
  }).finally(() => process.umask(mask))
}
