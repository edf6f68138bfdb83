/**
 * `tsh agent --background`: the same command again as a process of its own, in a session of its own, that keeps nothing of the
 * shell which started it: `eval $(tsh agent -b)` would wait for whoever holds its output.
 */

import { spawn } from 'node:child_process'
import { SystemError } from '../../errors/errors.ts'
import { shellQuote } from './commands/env.ts'

/** Set for the process in the background. */
const variable = 'TSH_AGENT_BACKGROUND'

/** What it says once, over the IPC channel: the socket it serves, or why it cannot. */
type Word = { readonly socket: string } | { readonly error: string; readonly code: number }

export const startedInBackground = (): boolean => process.send !== undefined && process.env[variable] === '1'

export function tellStarter(word: Word): void {
  process.send?.(word, undefined, undefined, () => {
    if (process.connected) process.disconnect?.()
  })
}

/** The line for `eval`. */
export const socketLine = (path: string): string => `SSH_AUTH_SOCK=${shellQuote(path)}; export SSH_AUTH_SOCK;\n`

/** Resolves with the exit code when the agent serves, or has said why not. Throws SystemError when it ended without a word. */
export async function startBackgroundAgent(): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env: { ...process.env, [variable]: '1' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    detached: true,
  })
  const word = await new Promise<Word>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Word))
    child.once('error', (error) => reject(new SystemError('EIO', `cannot start the agent: ${error.message}`)))
    child.once('exit', () => reject(new SystemError('EIO', 'the agent ended before it served')))
  })
  child.unref()
  if (child.connected) child.disconnect()
  if ('error' in word) {
    process.stderr.write(`tsh: ${word.error}\n`)
    return word.code
  }
  process.stdout.write(`${socketLine(word.socket)}TSH_AGENT_PID=${child.pid}; export TSH_AGENT_PID;\n`)
  return 0
}
