/** Runs programs for end-to-end tests: output collected, a time limit, conditions waited for instead of sleeps. */

import { type ChildProcess, type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
export const bin = (name: 'teleport' | 'tctl' | 'tsh'): string => `${root}/bin/${name}`

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly cwd?: string
  /** Milliseconds; 90,000 unless given. */
  readonly timeoutMs?: number
}

/** What every program under test gets: nothing of the developer's own logins. */
export function cleanEnv(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TMPDIR', 'NODE_V8_COVERAGE']
  const base = Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name] ?? '']])),
  )
  return { ...base, NO_COLOR: '1', ...extra }
}

/** For the question what somebody waits for who should have ended. */
const processList = (): string =>
  spawnSync('ps', ['-eo', 'pid,ppid,stat,wchan:20,etimes,args', '--forest'], { encoding: 'utf8' }).stdout

/** Runs to the end. Kills the program, and fails, after the time limit. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = spawn(file, args, {
    env: cleanEnv(options.env),
    cwd: options.cwd ?? root,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  return await collect(child, `${file} ${args.join(' ')}`, options.timeoutMs ?? 90_000)
}

async function collect(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  what: string,
  timeoutMs: number,
): Promise<Result> {
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const processes = processList()
      child.kill('SIGKILL')
      reject(
        new Error(`no end after ${timeoutMs} ms: ${what}\n--- stdout\n${stdout}\n--- stderr\n${stderr}\n${processes}`),
      )
    }, timeoutMs)
    child.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code: code ?? (signal === null ? -1 : -2), stdout, stderr })
    })
  })
}

/** Runs and insists on success; returns standard output. */
export async function succeed(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(file, args, options)
  if (result.code !== 0) {
    throw new Error(`${file} ${args.join(' ')}: exit ${result.code}\n${result.stdout}\n${result.stderr}`)
  }
  return result.stdout
}

/** A program that keeps running and is talked to: what it prints is searched, what it asks is answered. */
export class Dialog {
  readonly child: ChildProcess
  readonly #stdin: Writable
  readonly exited: Promise<number>
  output = ''
  #code: number | undefined

  constructor(file: string, args: readonly string[], options: RunOptions = {}) {
    const child = spawn(file, args, {
      env: cleanEnv(options.env),
      cwd: options.cwd ?? root,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child = child
    this.#stdin = child.stdin
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    this.exited = new Promise((resolve) =>
      child.once('close', (code) => {
        this.#code = code ?? -1
        resolve(this.#code)
      }),
    )
  }

  send(text: string): void {
    this.#stdin.write(text)
  }

  /** The match, as soon as the output has one. Throws as soon as there can be none any more. */
  async expect(pattern: RegExp, timeoutMs = 60_000): Promise<RegExpExecArray> {
    return await until(
      `${pattern} in the output`,
      () => pattern.exec(this.output) ?? endedWithout(pattern, this.#code, this.output),
      timeoutMs,
      () => this.output,
    )
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.child.kill(signal)
    return await this.ended()
  }

  /** Its exit code; throws what it printed when it goes on and on. */
  async ended(timeoutMs = 120_000): Promise<number> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const what = this.child.spawnargs.join(' ')
        reject(new Error(`no end after ${timeoutMs} ms of ${what}\n${this.output}\n${processList()}`))
      }, timeoutMs)
    })
    try {
      return await Promise.race([this.exited, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** A program that has ended says nothing more: waiting on would only hide why. */
export function endedWithout(pattern: RegExp, code: number | undefined, output: string): undefined {
  if (code !== undefined)
    throw new Error(`it ended with ${code} and without ${pattern}: ${JSON.stringify(output.slice(-600))}`)
}

/** Asks again until there is an answer. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 60_000,
  detail: () => string = () => '',
): Promise<T> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const found = await probe()
    if (found !== undefined) return found
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for ${what}\n${detail()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
