/** The heart of `tsh ssh`: one session on one node. Imports only what an ordinary session needs, for the sake of its start. */

import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { KindError } from '../../../errors/errors.ts'
import type { SshClient, SshClientOptions } from '../../../ssh/client-types.ts'
import { errorLine, exitCode } from '../../common/exit.ts'
import { printableLines } from '../../common/printable.ts'
import { shortTime } from '../../common/time.ts'
import { connectNode, connectProxy, dialTcp, type NodeTarget, type Trace } from '../connect.ts'
import { type ActiveLogin, activeLogin, sshProxy, type Wanted, wantedProfile } from '../login-state.ts'
import type { Profile } from '../profile.ts'
import type { SshRequest } from './options.ts'
import { osLogin } from './os-login.ts'
import { runSession } from './session.ts'
import type { X11Client } from './x11.ts'

/** What only some sessions have: forwards, an agent, a display, a command on this side. Loaded apart. */
export interface Extras {
  readonly handlers: Pick<SshClientOptions, 'onAgent' | 'onForwardedTcpip' | 'onForwardedStreamlocal' | 'onX11'>
  readonly x11: X11Client | undefined
  start(client: SshClient): Promise<{ readonly lines: readonly string[]; close(): void } | undefined>
  /** Instead of a session. */
  readonly local: (() => Promise<number>) | undefined
}

/** A login read while TCP to its proxy is being opened. */
export interface Prepared {
  readonly login: ActiveLogin
  readonly socket: Promise<Socket> | undefined
  readonly trace: Trace | undefined
}

/** Throws what `activeLogin` throws. */
export function prepare(request: SshRequest, wanted: Wanted): Prepared {
  const trace = request.trace ? startTrace() : undefined
  const socket = dialEarly(wanted, request)
  try {
    const stored = activeLogin({ ...wanted, cluster: request.cluster ?? wanted.cluster }, new Date())
    const login = { ...stored, profile: through(stored.profile, request) }
    trace?.('keys and profile read')
    return { login, socket, trace }
  } catch (error) {
    void socket?.then((opened) => opened.destroy())
    throw error
  }
}

/** The profile with the proxy that `-J` names. Its host certificate is checked under that name. */
const through = (profile: Profile, { jumphost }: SshRequest): Profile =>
  jumphost === undefined ? profile : { ...profile, sshProxyAddress: jumphost }

function dialEarly(wanted: Wanted, request: SshRequest): Promise<Socket> | undefined {
  if (wanted.identityFile !== undefined || request.selector !== undefined) return undefined
  const profile = wantedProfile(wanted)
  if (profile === undefined) return undefined
  const { host, port } = sshProxy(through(profile, request))
  const socket = dialTcp(host, port, request.connectTimeoutMs)
  socket.catch(() => undefined)
  return socket
}

/** One line, and 255 as `ssh` has it, or 2 for bad input. */
export function connectionTrouble(error: unknown): number {
  process.stderr.write(`tsh: ${errorLine(error)}\n`)
  if (process.env.TELEPORT_DEBUG === '1' && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`)
  const usage = error instanceof KindError && (error.kind === 'BadParameter' || error.kind === 'MissingParameter')
  return usage ? exitCode.usage : exitCode.connection
}

export async function runOnNode(request: SshRequest, prepared: Prepared, extras?: Extras): Promise<number> {
  const { login, socket, trace } = prepared
  const keepAlive =
    request.keepAliveMs > 0
      ? { keepAlive: { intervalMs: request.keepAliveMs, maxMissed: request.keepAliveMissed } }
      : {}
  const shared = { ...keepAlive, timeoutMs: request.connectTimeoutMs, ...(trace === undefined ? {} : { trace }) }
  const proxy = await connectProxy(login, { ...shared, ...(socket === undefined ? {} : { socket }) })
  const target: NodeTarget = { host: request.host, port: request.port ?? 0, login: osLogin(request, login) }
  const client = await connectNode(proxy, login, target, {
    ...shared,
    ...extras?.handlers,
    onBanner: (text) => process.stderr.write(printableLines(text)),
  })
  const forwards = await extras?.start(client)
  try {
    if (extras?.local !== undefined) return await extras.local()
    return await runRequest(request, client, () => forwards?.lines ?? ['No forwards.'], trace, extras?.x11)
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
  x11?: X11Client,
): Promise<number> {
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
    x11: x11?.request,
    ...(trace === undefined ? {} : { trace }),
  })
  // As with `ssh`: windows of programs that go on in the background stay open.
  await x11?.idle(client.signal)
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
