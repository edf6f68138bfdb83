/**
 * The labels of a node: fixed ones, and ones that commands give anew every so often (`ssh_service.commands`). The commands come from
 * the administrator's configuration, run as the daemon without a shell, and are bounded in time and output.
 */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Labels } from '../access/types.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { nameProblem } from '../common/names.ts'
import { stripControl, truncate } from '../common/text.ts'
import { messageOf } from '../errors/system.ts'

export interface CommandLabel {
  readonly name: string
  readonly command: readonly string[]
  /** Milliseconds, at least 1,000. */
  readonly periodMs: number
}

export interface NodeLabels {
  current(): Labels
  /** Resolves when each command has run once. */
  readonly first: Promise<void>
  close(): void
}

const run = promisify(execFile)
const timeoutMs = 10_000
const maxOutput = 64 * 1024
const maxLabel = 1024
const shortestPeriodMs = 1000

export function openLabels(fixed: Labels, commands: readonly CommandLabel[], env: Env, logger: Logger): NodeLabels {
  const values = new Map<string, string>()
  const stop = new AbortController()
  let current: Labels = fixed
  const update = (name: string, value: string): void => {
    if (values.get(name) === value) return
    values.set(name, value)
    current = { ...fixed, ...Object.fromEntries(values) }
  }
  const first = Promise.all(
    commands.map(async (label) => {
      await refresh(label, update, logger, stop.signal)
      void repeat(label, update, env, logger, stop.signal)
    }),
  )
  return { current: () => current, first: first.then(() => {}), close: () => stop.abort() }
}

async function repeat(
  label: CommandLabel,
  update: (name: string, value: string) => void,
  env: Env,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      await env.sleep(Math.max(label.periodMs, shortestPeriodMs), signal)
      await refresh(label, update, logger, signal)
    }
  } catch {
    // The node is closing.
  }
}

async function refresh(
  { name, command }: CommandLabel,
  update: (name: string, value: string) => void,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const [file, ...args] = command
  if (file === undefined) return
  try {
    const { stdout } = await run(file, args, {
      timeout: Math.min(timeoutMs, 60_000),
      killSignal: 'SIGKILL',
      maxBuffer: maxOutput,
      signal,
      cwd: '/',
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/', LANG: 'C.UTF-8' },
    })
    update(name, firstLine(stdout))
  } catch (error) {
    if (signal.aborted) return
    logger.warn('the command of a label failed', { label: name, reason: messageOf(error) })
    // As the original: the value says so, and a label that rules could match does not stay at an old value for ever.
    update(name, firstLine(`error: ${messageOf(error)}`))
  }
}

export function firstLine(output: string): string {
  const line = truncate(stripControl(output.split('\n', 1)[0] ?? '').trim(), maxLabel)
  return nameProblem('label value', line) === undefined ? line : ''
}
