/** One session of a user: starts the program that was asked for, carries its streams, reports its end, leaves a trail. */

import { accessSync, constants } from 'node:fs'
import type { Readable } from 'node:stream'
import { type AuditEvent, newEvent } from '../../audit/events.ts'
import { KindError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { ExitResult, ServerSession, TerminalSize } from '../../ssh/connection/types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import { connectionFields, record } from '../node-events.ts'
import type { NodeUser } from '../node-user.ts'
import { startDirectory } from '../os/home.ts'
import { type Program, startProcess, type UserProcess } from '../os/user-process.ts'
import { type AgentSocket, openAgentSocket } from './agent-socket.ts'
import { sessionEnvironment } from './environment.ts'

/** Where distributions put OpenSSH's SFTP server; our own follows later. */
const sftpServers = ['/usr/lib/openssh/sftp-server', '/usr/libexec/openssh/sftp-server', '/usr/lib/ssh/sftp-server']
/** Exit status when the node could not do its part. 255 is what `ssh` uses for its own errors. */
const nodeFailure = 254

/** Serves the session; never throws. */
export function serveSession(session: ServerSession, connection: NodeConnection, node: NodeContext): void {
  const work = new SessionWork(session, connection, node)
  work.run().catch((error: unknown) => {
    node.logger.error('session failed', { reason: messageOf(error), sid: work.id })
    session.channel.destroy()
  })
}

/** Nodes that could not keep the last start of a session: somebody may have filled the disk in order to work unrecorded. */
const doubtful = new WeakSet<NodeContext>()

class SessionWork {
  readonly id: string
  readonly #session: ServerSession
  readonly #connection: NodeConnection
  readonly #node: NodeContext
  /** The latest size: a window may change before the program has started. */
  #size: TerminalSize | undefined
  #process: UserProcess | undefined
  #terminated = false

  constructor(session: ServerSession, connection: NodeConnection, node: NodeContext) {
    this.id = node.env.randomUuid()
    this.#session = session
    this.#connection = connection
    this.#node = node
    session.onWindowChange = (size) => {
      this.#size = size
      this.#process?.terminal?.resize(size)
    }
    session.onSignal = (signal) => this.#process?.signal(signal)
    session.onBreak = () => this.#process?.terminal?.sendBreak()
    session.onOutputClosed = () => {
      // Its next write must fail, as in a local pipe whose reader has gone.
      if (this.#process?.terminal === undefined) this.#process?.stdout.destroy()
    }
  }

  async run(): Promise<void> {
    const { request } = this.#session
    const program = programOf(request)
    if (program === undefined) {
      this.#session.reject()
      return
    }
    let agent: AgentSocket | undefined
    try {
      const user = await this.#node.recheck(this.#connection)
      agent = this.#openAgent(user)
      const started = this.#node.env.now()
      const { done: recorded } = await this.#recordStart(program)
      const child = await this.#start(user, program, agent?.path)
      await this.#serve(child, program, started, recorded)
    } catch (error) {
      this.#refuse(error)
    } finally {
      agent?.close()
    }
  }

  #openAgent(user: NodeUser): AgentSocket | undefined {
    if (!this.#session.agentForwarding || !user.permissions.agentForwarding) return undefined
    const owner = { account: user.account.target, privileges: this.#node.privileges }
    try {
      return openAgentSocket(owner, this.#connection, this.#node.logger)
    } catch (error) {
      // A full /tmp must not keep somebody out who comes to clean it.
      this.#node.logger.warn('a session goes on without the agent', { reason: messageOf(error), sid: this.id })
      return undefined
    }
  }

  async #start(user: NodeUser, program: Program, agentSocket: string | undefined): Promise<UserProcess> {
    const { accounts, privileges, env: clock } = this.#node
    const account = user.account.target
    const directory = await startDirectory(account, clock)
    const { pty } = this.#session
    const child = startProcess({
      account,
      program,
      env: sessionEnvironment(this.#node, this.#connection, {
        sessionId: this.id,
        account,
        client: this.#session.env,
        agentSocket,
      }),
      directory,
      pty: pty === undefined ? undefined : { ...pty, ...this.#size },
      ttyGid: accounts.groupId('tty'),
      privileges,
      clock,
    })
    this.#process = child
    return child
  }

  /** `recorded` becomes true once the start is on the local disk; nothing is reported to the client before. */
  async #serve(child: UserProcess, program: Program, started: Date, recorded: Promise<void>): Promise<void> {
    const { sessions } = this.#node
    const { channel } = this.#session
    sessions.add({
      id: this.id,
      user: this.#connection.identity.identity.user,
      login: this.#connection.user,
      started,
      interactive: child.terminal !== undefined,
      connection: this.#connection,
      terminate: (message) => this.#terminate(message),
    })
    recorded.catch((error: unknown) => this.#terminate(`this session cannot be recorded: ${messageOf(error)}`))
    this.#session.accept()
    const over = new AbortController()
    this.#endWhenIdle(child, over.signal)
    const closed = closedSignal(channel.signal)
    if (channel.signal.aborted) child.hangup()
    else channel.signal.addEventListener('abort', () => child.hangup(), { once: true })
    this.#carry(child)
    const result = await Promise.race([this.#finished(child), closed])
    over.abort()
    sessions.remove(this.id)
    this.#recordEnd(program, child, started, result)
    if (result === undefined) return
    await recorded.catch(() => {})
    await this.#session.exit(result)
  }

  #carry(child: UserProcess): void {
    const { channel } = this.#session
    const { notice, stdin, stdout, stderr } = child
    channel.on('error', () => {})
    if (notice !== undefined) (stderr === undefined ? channel : this.#session.stderr).write(notice)
    // A program that closed its input: what the client still sends goes nowhere, but must not block the channel.
    stdin.on('close', () => {
      channel.unpipe(stdin)
      if (!channel.destroyed) channel.resume()
    })
    channel.pipe(stdin)
    stdout.pipe(channel, { end: false })
    stderr?.pipe(this.#session.stderr, { end: false })
  }

  /** The result, once the program has ended and everything it wrote has been handed to the channel. */
  async #finished(child: UserProcess): Promise<ExitResult> {
    const streams = [streamEnd(child.stdout), ...(child.stderr === undefined ? [] : [streamEnd(child.stderr)])]
    const result = await child.exited
    if (child.terminal !== undefined) void child.terminal.drain().catch(() => {})
    await Promise.all(streams)
    return result
  }

  /** `client_idle_timeout`: nothing went either way for that long. */
  #endWhenIdle(child: UserProcess, signal: AbortSignal): void {
    const { env, state } = this.#node
    if (state.config.clientIdleTimeout === 0) return
    let last = env.monotonicMs()
    const alive = (): void => {
      last = env.monotonicMs()
    }
    this.#session.channel.on('data', alive)
    child.stdout.on('data', alive)
    const watch = async (): Promise<void> => {
      for (;;) {
        const idleMs = state.config.clientIdleTimeout * 1000
        const left = last + idleMs - env.monotonicMs()
        if (idleMs > 0 && left <= 0) break
        await env.sleep(Math.max(left, 1000), signal)
      }
      const reason = `the session was idle for ${state.config.clientIdleTimeout} s, longer than the cluster allows`
      record(this.#node, {
        event: 'client.disconnect',
        ...connectionFields(this.#node, this.#connection),
        sid: this.id,
        reason,
      })
      this.#terminate(reason)
    }
    watch().catch(() => {})
  }

  #terminate(message: string): void {
    if (this.#terminated) return
    this.#terminated = true
    const onTerminal = this.#process?.terminal !== undefined
    const text = onTerminal ? `\r\n${message}\r\n` : `${message}\n`
    ;(onTerminal ? this.#session.channel : this.#session.stderr).write(text)
    this.#process?.hangup()
  }

  /** Says on standard error why nothing was started. */
  #refuse(error: unknown): void {
    const known = error instanceof KindError
    if (!known) this.#node.logger.error('cannot start a session', { reason: messageOf(error), sid: this.id })
    const message = known ? error.message : 'the node could not start the session; its log says why'
    this.#session.accept()
    const onTerminal = this.#session.pty !== undefined
    ;(onTerminal ? this.#session.channel : this.#session.stderr).write(`ERROR: ${message}${onTerminal ? '\r\n' : '\n'}`)
    this.#session.exit({ kind: 'exit', status: nodeFailure }).catch(() => {})
  }

  // ---- audit ----

  #fields() {
    return { ...connectionFields(this.#node, this.#connection), sid: this.id }
  }

  /**
   * Rejects when the node can keep no more events: then nothing is started. The promise inside resolves when the event is on
   * the disk; the program need not wait for that, its end does, unless the node failed to keep an event just before.
   */
  async #recordStart(program: Program): Promise<{ readonly done: Promise<void> }> {
    const { pty } = this.#session
    const event = newEvent(this.#node.env, {
      event: 'session.start',
      ...this.#fields(),
      interactive: pty !== undefined,
      ...(pty === undefined ? {} : { size: `${pty.columns}:${pty.rows}` }),
      ...(program.kind === 'login-shell' ? {} : { initial_command: [describe(program)] }),
    })
    const recorded = this.#node.audit([event as AuditEvent])
    let refused: unknown
    recorded.then(
      () => doubtful.delete(this.#node),
      (error: unknown) => {
        doubtful.add(this.#node)
        refused = error
      },
    )
    if (doubtful.has(this.#node)) await recorded
    else await settleSoon()
    if (refused !== undefined) throw refused
    return { done: recorded }
  }

  #recordEnd(program: Program, child: UserProcess, started: Date, result: ExitResult | undefined): void {
    const fields = this.#fields()
    if (program.kind !== 'login-shell') {
      record(this.#node, { event: 'exec', ...fields, command: describe(program), ...exitFields(result) })
    }
    record(this.#node, {
      event: 'session.end',
      ...fields,
      interactive: child.terminal !== undefined,
      session_start: started.toISOString(),
      session_stop: this.#node.env.now().toISOString(),
      participants: [fields.user],
    })
  }
}

function programOf(request: ServerSession['request']): Program | undefined {
  switch (request.kind) {
    case 'shell':
      return { kind: 'login-shell' }
    case 'exec':
      return { kind: 'command', command: request.commandBytes }
    case 'subsystem': {
      const file = request.name === 'sftp' ? sftpServers.find(isExecutable) : undefined
      return file === undefined ? undefined : { kind: 'command', command: Buffer.from(file) }
    }
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function describe(program: Program): string {
  switch (program.kind) {
    case 'login-shell':
      return ''
    case 'command':
      return program.command.toString('utf8')
    case 'file':
      return [program.file, ...program.args].join(' ')
  }
}

function exitFields(result: ExitResult | undefined): { readonly exitCode?: string; readonly exitError?: string } {
  if (result === undefined) return { exitError: 'the client disconnected' }
  if (result.kind === 'signal') return { exitError: `killed by signal ${result.signal}` }
  if (result.status === 0) return { exitCode: '0' }
  return { exitCode: String(result.status), exitError: `exit status ${result.status}` }
}

const streamEnd = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.closed || stream.readableEnded) resolve()
    else stream.once('end', resolve).once('close', resolve)
  })

const closedSignal = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })

/** Lets promises that are settled already run their handlers. */
const settleSoon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
