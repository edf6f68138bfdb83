/** What a role process does: start its role, tell the supervisor, end as it is told to. */

import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { ServerRole } from '../api/model.ts'
import { realEnv } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { createLogger } from '../common/logger.ts'
import type { Config } from '../config/types.ts'
import { KindError } from '../errors/errors.ts'
import { errnoOf, messageOf } from '../errors/system.ts'
import type { FromRole, RoleStats, ToRole } from './messages.ts'
import { type RunningRole, startRole } from './roles.ts'

/** The variable in which the supervisor says what to start. Not in the arguments, which everybody on the machine can read. */
export const roleVariable = 'TELEPORT_ROLE_PROCESS'

export interface RoleStart {
  readonly role: ServerRole
  readonly version: string
}

/** Milliseconds that connections may go on after QUIT: the longest a certificate lives. */
const drainMs = 30 * 3_600_000

/** Runs until the process ends. */
export async function runRoleProcess(start: RoleStart): Promise<void> {
  // Sessions must not inherit it.
  delete process.env[roleVariable]
  // Ctrl-C reaches the whole process group; the supervisor decides what it means.
  process.on('SIGINT', () => undefined)
  process.on('SIGHUP', () => undefined)
  // Waits do not keep a process alive, so a role that has nothing yet but a wait for an auth server would just end.
  process.channel?.ref()
  const orphaned = () => process.exit(1)
  process.once('disconnect', orphaned)
  let logger: Logger | undefined
  try {
    const config = await receiveConfig()
    logger = createLogger(config.log).child({ role: start.role })
    const running = await startRole(start.role, { config, version: start.version, env: realEnv, logger })
    process.off('disconnect', orphaned)
    endWith(start.role, running, logger)
    tell({ type: 'ready', listening: running.listening, notes: running.notes })
    answerStats()
  } catch (error) {
    await fail(error, logger)
  }
}

/** From the supervisor, which may read files that this process may not. */
function receiveConfig(): Promise<Config> {
  return new Promise((resolve) => {
    const orphaned = () => process.exit(1)
    const receive = (message: ToRole) => {
      if (message.type !== 'config') return
      process.off('message', receive)
      process.off('disconnect', orphaned)
      resolve(message.config)
    }
    process.on('message', receive)
    process.on('disconnect', orphaned)
  })
}

function tell(message: FromRole): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve()
    process.send(message, undefined, undefined, () => resolve())
  })
}

async function fail(error: unknown, logger: Logger | undefined): Promise<never> {
  const usage = error instanceof KindError && (error.kind === 'BadParameter' || error.kind === 'MissingParameter')
  if (!(error instanceof KindError)) logger?.error('the role could not start', { error })
  await tell({
    type: 'failed',
    message: error instanceof KindError ? error.message : `internal error: ${messageOf(error)}`,
    exitCode: usage ? 2 : 1,
    fatal: usage || errnoOf(error) === 'EADDRINUSE',
  })
  process.exit(usage ? 2 : 1)
}

function endWith(role: ServerRole, running: RunningRole, logger: Logger): void {
  let closing = false
  const close = (drain: number) => {
    // A second signal means now.
    if (closing) process.exit(0)
    closing = true
    running.close(drain).then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error('closing failed', { error })
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', () => close(0))
  process.on('SIGQUIT', () => close(drainMs))
  // The supervisor is gone (killed): free the ports for its successor at once, but let sessions end by themselves. Auth has no
  // sessions, only machines that stay connected as long as their sessions, and its successor needs the database.
  process.on('disconnect', () => close(role === 'auth' ? 0 : drainMs))
}

function answerStats(): void {
  const delay = monitorEventLoopDelay({ resolution: 100 })
  let measuring = false
  process.on('message', (message: ToRole) => {
    if (message.type !== 'stats') return
    // Measuring wakes the process ten times a second, so it begins with the first question.
    if (!measuring) delay.enable()
    measuring = true
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed } = process.memoryUsage()
    const mean = delay.mean / 1e6
    const stats: RoleStats = {
      rssBytes: rss,
      heapBytes: heapUsed,
      cpuSeconds: (user + system) / 1e6,
      eventLoopDelayMs: Number.isFinite(mean) ? mean : 0,
    }
    void tell({ type: 'stats', id: message.id, stats })
  })
}
