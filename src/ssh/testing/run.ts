/** Runs a foreign program (ssh-keygen, ssh, …) to its end and gives everything it said. */

import { spawn } from 'node:child_process'

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Milliseconds until the program is killed. Default 60,000. */
  readonly timeoutMs?: number
}

export interface RunResult {
  /** Exit code, or null when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** The environment is `PATH`, `HOME` and `options.env` only: an agent or a locale of the caller must not change a test. */
export async function run(program: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
  const { PATH = '/usr/bin:/bin:/usr/sbin:/sbin', HOME = '/' } = process.env
  const child = spawn(program, args, {
    stdio: 'pipe',
    env: { PATH, HOME, ...options.env },
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const { promise, resolve, reject } = Promise.withResolvers<Pick<RunResult, 'code' | 'signal'>>()
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.on('error', reject)
  child.on('close', (code, signal) => resolve({ code, signal }))
  child.stdin.on('error', () => {}) // a program that does not read its input closes it early
  child.stdin.end(options.input ?? '')
  const end = await promise
  return { ...end, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }
}

/** Like `run`, but anything other than exit code 0 throws with what the program said. Gives standard output as text. */
export async function runOk(program: string, args: readonly string[] = [], options: RunOptions = {}): Promise<string> {
  const result = await run(program, args, options)
  if (result.code === 0) return result.stdout.toString()
  throw new Error(`${program} ${args.join(' ')}: ${result.code ?? result.signal}\n${result.stdout}${result.stderr}`)
}
