/** One role as a child process: started, watched, restarted with backoff, replaced without a gap, stopped. */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import type { ServerRole } from '../api/model.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import type { Config } from '../config/types.ts'
import { BadParameter, ConnectionProblem, type KindError } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { isFromRole, type Listening, type RoleStats, type ToRole } from './messages.ts'

export interface RoleCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

export interface RoleLaunch {
  readonly command: RoleCommand
  /** Sent as the first message. */
  readonly config: Config
  /** A descriptor that becomes its standard error, closed here afterwards. */
  readonly stderr?: number
}

export interface RoleProcessOptions {
  readonly role: ServerRole
  /** Read for each start, so that a reload uses the new configuration. */
  launch(): RoleLaunch
  readonly env: Env
  readonly logger: Logger
  /** Auth owns its database alone: on reload its successor starts when it has gone. */
  readonly exclusive: boolean
}

/** Milliseconds. */
const firstDelay = 500
const longestDelay = 30_000
/** A process that lived so long has proven its configuration: the next crash starts from the shortest delay. */
const healthyAfter = 60_000
const termGrace = 5_000
const statsTimeout = 1_000

interface Running {
  readonly child: ChildProcess
  readonly ready: Promise<readonly Listening[]>
  readonly exited: Promise<void>
  readonly startedAt: number
}

export class RoleProcess {
  readonly role: ServerRole
  readonly #options: RoleProcessOptions
  readonly #stop = new AbortController()
  readonly #old = new Set<Running>()
  #running: Running | undefined
  #delay = firstDelay
  #nextStats = 0
  restarts = 0
  listening: readonly Listening[] = []
  notes: readonly string[] = []
  isReady = false

  constructor(options: RoleProcessOptions) {
    this.#options = options
    this.role = options.role
  }

  get pid(): number | undefined {
    return this.#running?.child.pid
  }

  /** Starts and waits until the role listens. Throws what the role reported; from then on the process is kept alive. */
  async start(): Promise<void> {
    const running = this.#spawn()
    this.#running = running
    await running.ready
    void this.#watch(running)
  }

  /** A new process with the new configuration; the old one drains. The old one stays when the new one cannot start. */
  async reload(): Promise<void> {
    const old = this.#running
    if (old === undefined) return
    const { exclusive, logger } = this.#options
    if (exclusive) {
      this.#running = undefined
      await this.#end(old, 'SIGTERM')
    }
    const next = this.#spawn()
    try {
      await next.ready
    } catch (error) {
      logger.error(`${this.role}: the new process did not start${exclusive ? '' : '; the old one goes on'}`, {
        error: messageOf(error),
      })
      if (!exclusive) return
    }
    this.#running = next
    void this.#watch(next)
    if (exclusive) return
    this.#old.add(old)
    old.child.kill('SIGQUIT')
    void old.exited.then(() => this.#old.delete(old))
  }

  /** `SIGTERM` ends fast (and by force after 5 s); `SIGQUIT` lets connections end by themselves. */
  async stop(signal: 'SIGTERM' | 'SIGQUIT'): Promise<void> {
    this.#stop.abort()
    const all = [...this.#old, ...(this.#running === undefined ? [] : [this.#running])]
    await Promise.all(all.map((running) => this.#end(running, signal)))
  }

  /** Undefined when the process does not answer within a second. */
  async stats(): Promise<RoleStats | undefined> {
    const child = this.#running?.child
    if (child?.connected !== true) return undefined
    const id = ++this.#nextStats
    return await new Promise((resolve) => {
      const timer = setTimeout(() => done(undefined), statsTimeout)
      const onMessage = (message: unknown) => {
        if (isFromRole(message) && message.type === 'stats' && message.id === id) done(message.stats)
      }
      const done = (stats: RoleStats | undefined) => {
        clearTimeout(timer)
        child.off('message', onMessage)
        resolve(stats)
      }
      child.on('message', onMessage)
      const question: ToRole = { type: 'stats', id }
      child.send(question, (error) => {
        if (error !== null) done(undefined)
      })
    })
  }

  #spawn(): Running {
    const { launch, env, role } = this.#options
    const { command, config, stderr } = launch()
    const child = spawn(command.file, command.args, {
      env: command.env,
      stdio: ['ignore', 'inherit', stderr ?? 'inherit', 'ipc'],
    })
    if (stderr !== undefined) closeSync(stderr)
    const first: ToRole = { type: 'config', config }
    // A process that has gone already is told by its exit.
    child.send(first, () => undefined)
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    const ready = new Promise<readonly Listening[]>((resolve, reject) => {
      child.on('message', (message: unknown) => {
        if (!isFromRole(message)) return
        if (message.type === 'ready') {
          this.listening = message.listening
          this.notes = message.notes
          this.isReady = true
          resolve(message.listening)
        } else if (message.type === 'failed') reject(startError(message.message, message.exitCode, message.fatal))
      })
      child.once('error', (error) => reject(new ConnectionProblem(`${role}: cannot start a process: ${error.message}`)))
      child.once('exit', (code, signal) => {
        reject(new ConnectionProblem(`${role}: the process ended during start (${signal ?? `exit status ${code}`})`))
      })
    })
    ready.catch(() => undefined)
    return { child, ready, exited, startedAt: env.monotonicMs() }
  }

  /** Waits for the end of the process and starts another, after a pause that grows. */
  async #watch(watched: Running): Promise<void> {
    const { env, logger } = this.#options
    let running = watched
    for (;;) {
      await running.exited
      if (this.#running !== running || this.#stop.signal.aborted) return
      this.isReady = false
      if (env.monotonicMs() - running.startedAt > healthyAfter) this.#delay = firstDelay
      logger.error(`${this.role}: the process has ended unexpectedly; starting it again in ${this.#delay / 1000} s`)
      const slept = await env.sleep(this.#delay, this.#stop.signal).then(
        () => true,
        () => false,
      )
      if (!slept || this.#running !== running) return
      this.#delay = Math.min(this.#delay * 2, longestDelay)
      this.restarts++
      running = this.#spawn()
      this.#running = running
      await running.ready.then(
        () => logger.info(`${this.role}: running again`),
        (error: unknown) => logger.error(`${this.role}: ${messageOf(error)}`),
      )
    }
  }

  async #end(running: Running, signal: 'SIGTERM' | 'SIGQUIT'): Promise<void> {
    running.child.kill(signal)
    if (signal === 'SIGQUIT') return await running.exited
    const timer = setTimeout(() => running.child.kill('SIGKILL'), termGrace)
    await running.exited
    clearTimeout(timer)
  }
}

function startError(message: string, exitCode: number, fatal: boolean): KindError {
  if (exitCode === 2) return new BadParameter('config', message)
  return Object.assign(new ConnectionProblem(message), { fatal })
}
