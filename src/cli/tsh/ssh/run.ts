/** `tsh ssh`: connect, forward, run, and give back the remote exit status. */

import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { type Duplex, duplexPair } from 'node:stream'
import { BadParameter, KindError, NotFound } from '../../../errors/errors.ts'
import type { SshClient } from '../../../ssh/client-types.ts'
import { errorLine, exitCode } from '../../common/exit.ts'
import { printableLines } from '../../common/printable.ts'
import { connectNode, connectProxy, dialTcp, type NodeTarget, type Trace } from '../connect.ts'
import { type ActiveLogin, activeLogin, sshProxy, type Wanted, wantedProfile } from '../login-state.ts'
import type { SshRequest } from './options.ts'
import { osLogin } from './os-login.ts'
import { runSession } from './session.ts'

/** Returns the exit code: the remote status, 255 for connection trouble, 2 for bad input. */
export async function runSsh(request: SshRequest, wanted: Wanted): Promise<number> {
  const trace = request.trace ? startTrace() : undefined
  let login: ActiveLogin
  let socket: Promise<Socket> | undefined
  try {
    socket = dialEarly(wanted, request)
    login = activeLogin({ ...wanted, cluster: request.cluster ?? wanted.cluster }, new Date())
  } catch (error) {
    socket?.then((opened) => opened.destroy())
    return connectionTrouble(error)
  }
  trace?.('keys and profile read')
  try {
    if (request.selector !== undefined) {
      socket?.then((opened) => opened.destroy())
      const { runOnMatches } = await import('./fan-out.ts')
      const outcome = await runOnMatches(request, request.selector, login)
      if (typeof outcome === 'number') return outcome
      return await runOnNode({ ...request, host: outcome.only }, login, undefined, trace)
    }
    return await runOnNode(request, login, socket, trace)
  } catch (error) {
    return connectionTrouble(error)
  }
}

/** TCP to the proxy stands while the keys are being read. */
function dialEarly(wanted: Wanted, request: SshRequest): Promise<Socket> | undefined {
  if (wanted.identityFile !== undefined || request.selector !== undefined) return undefined
  const profile = wantedProfile(wanted)
  if (profile === undefined) return undefined
  const { host, port } = sshProxy(profile)
  const socket = dialTcp(host, port, request.connectTimeoutMs)
  socket.catch(() => undefined)
  return socket
}

function connectionTrouble(error: unknown): number {
  process.stderr.write(`tsh: ${errorLine(error)}\n`)
  if (error instanceof BadParameter || (error instanceof KindError && error.kind === 'MissingParameter'))
    return exitCode.usage
  if (process.env.TELEPORT_DEBUG === '1' && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`)
  return exitCode.connection
}

async function runOnNode(
  request: SshRequest,
  login: ActiveLogin,
  socket: Promise<Socket> | undefined,
  trace: Trace | undefined,
): Promise<number> {
  const keepAlive =
    request.keepAliveMs > 0
      ? { keepAlive: { intervalMs: request.keepAliveMs, maxMissed: request.keepAliveMissed } }
      : {}
  const shared = { ...keepAlive, timeoutMs: request.connectTimeoutMs, ...(trace === undefined ? {} : { trace }) }
  const proxy = await connectProxy(login, { ...shared, ...(socket === undefined ? {} : { socket }) })
  const target: NodeTarget = { host: request.host, port: request.port ?? 0, login: osLogin(request, login) }
  const remote = request.forwards.some((forward) => forward.kind === 'remote')
  const forwarding = request.forwards.length > 0 ? await import('./forwards.ts') : undefined
  const handlers = remote && forwarding !== undefined ? forwarding.remoteHandlers(request.forwards) : {}
  const client = await connectNode(proxy, login, target, {
    ...shared,
    ...handlers,
    ...(request.forwardAgent ? { onAgent: () => openLocalAgent(login) } : {}),
    onBanner: (text) => process.stderr.write(printableLines(text)),
  })
  const forwards = await forwarding?.startForwards(client, request.forwards, request.exitOnForwardFailure)
  try {
    return await runRequest(request, client, () => forwards?.lines ?? ['No forwards.'], trace)
  } finally {
    forwards?.close()
    // Not awaited: the peer's goodbye must not delay the prompt.
    void client.close()
    void proxy.close()
  }
}

async function runRequest(
  request: SshRequest,
  client: SshClient,
  forwardLines: () => readonly string[],
  trace: Trace | undefined,
): Promise<number> {
  if (request.local) return await runLocally(request)
  if (request.noCommand) {
    const error = await client.closed
    if (error !== undefined) throw error
    return exitCode.connection
  }
  const wantsPty =
    request.tty === 'force' || (request.tty === 'auto' && request.command === undefined && process.stdin.isTTY)
  const status = await runSession(client, {
    command: request.command,
    pty: wantsPty,
    forwardAgent: request.forwardAgent,
    setEnv: request.setEnv,
    escape: request.escape,
    forwardLines,
    ...(trace === undefined ? {} : { trace }),
  })
  if (request.command === undefined && wantsPty) {
    process.stderr.write(`the connection was closed on the remote side on  ${shortTime(new Date())}\n`)
  }
  if (status === undefined) {
    if (request.command !== undefined)
      process.stderr.write('tsh: the connection ended before the command reported its status\n')
    return exitCode.connection
  }
  return status
}

/** `20 Nov 26 15:44 UTC` */
export function shortTime(date: Date): string {
  const month = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][date.getUTCMonth()]
  const two = (value: number) => String(value).padStart(2, '0')
  const year = two(date.getUTCFullYear() % 100)
  return `${two(date.getUTCDate())} ${month} ${year} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())} UTC`
}

async function runLocally(request: SshRequest): Promise<number> {
  const { spawn } = await import('node:child_process')
  const [program, ...args] = request.commandWords
  if (program === undefined) throw new BadParameter('--local', '--local needs a command to run')
  const child = spawn(program, args, { stdio: 'inherit' })
  return await new Promise((resolve, reject) => {
    child.once('error', () => reject(new NotFound(`cannot run ${program} on this machine: no such program`)))
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)))
  })
}

/** The agent that `-A` shows to the node: the running ssh-agent, or without one an agent with this login's certificate. */
async function openLocalAgent(login: ActiveLogin): Promise<Duplex> {
  const path = process.env.SSH_AUTH_SOCK
  if (path !== undefined && path !== '') {
    const socket = createConnection(path)
    await once(socket, 'connect')
    return socket
  }
  const [{ loginAgent }, { serveAgent }] = await Promise.all([
    import('../commands/agent.ts'),
    import('../../../ssh/agent/server.ts'),
  ])
  const [near, far] = duplexPair()
  void serveAgent(near, loginAgent(login, new Date()))
  return far
}

function startTrace(): Trace {
  const begin = performance.timeOrigin
  let last = begin
  return (step) => {
    const now = performance.timeOrigin + performance.now()
    process.stderr.write(
      `trace: ${(now - begin).toFixed(1).padStart(8)} ms  +${(now - last).toFixed(1).padStart(6)} ms  ${step}\n`,
    )
    last = now
  }
}
