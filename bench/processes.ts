/** Starting, timing and weighing processes. */

import { type ChildProcess, spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

export interface Outcome {
  readonly ms: number
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Longest that one command of a measurement may take, the transfers included. */
const longestMs = 180_000

/** Runs a command to its end; output beyond a megabyte is thrown away. One that hangs is killed, and fails by name. */
export function run(
  command: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<Outcome> {
  const [program = '', ...argv] = command
  return new Promise((resolve, reject) => {
    const begin = performance.now()
    const child = spawn(program, argv, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      if (stdout.length < 1e6) stdout += String(chunk)
    })
    child.stderr.on('data', (chunk) => {
      if (stderr.length < 1e6) stderr += String(chunk)
    })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${command.join(' ')}\nhad not ended after ${longestMs / 1000} s: ${stderr.trim()}`))
    }, longestMs)
    child.on('error', reject)
    child.on('close', () => clearTimeout(timer))
    child.on('close', (status) => resolve({ ms: performance.now() - begin, status, stdout, stderr }))
  })
}

/** Like `run`, but a failure is an error that shows the command and what it said. */
export async function must(
  command: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<Outcome> {
  const outcome = await run(command, options)
  if (outcome.status === 0) return outcome
  throw new Error(
    `${command.join(' ')}\nended with ${outcome.status}: ${outcome.stderr.trim() || outcome.stdout.trim()}`,
  )
}

/** Ports of 127.0.0.1 that are free now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return address === null || typeof address === 'string' ? 0 : address.port
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Whether an SSH server answers on the port with its version. */
export function sshAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(2_000, () => end(false))
    socket.on('error', () => end(false))
    socket.on('close', () => end(false))
    socket.once('data', (data) => end(String(data).startsWith('SSH-')))
  })
}

/** Whether a TLS handshake on the port succeeds. */
export function tlsAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    // What is measured is whether it answers; who answers is our own child.
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(2_000, () => end(false))
    socket.on('error', () => end(false))
    socket.once('secureConnect', () => end(true))
  })
}

/** Asks until all say yes. Throws after the time-out, or when the process that should answer has ended. */
export async function until(
  what: string,
  probes: readonly (() => Promise<boolean>)[],
  options: { timeoutMs: number; child?: ChildProcess; everyMs?: number },
): Promise<void> {
  const end = performance.now() + options.timeoutMs
  const open = new Set(probes)
  while (open.size > 0) {
    await Promise.all(
      [...open].map(async (probe) => {
        if (await probe()) open.delete(probe)
      }),
    )
    if (open.size === 0) return
    if (options.child !== undefined && options.child.exitCode !== null)
      throw new Error(`${what}: the process has ended`)
    if (performance.now() > end) throw new Error(`${what}: no answer in ${options.timeoutMs} ms`)
    await delay(options.everyMs ?? 50)
  }
}

/** Ends a child politely, then not. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM', timeoutMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill(signal)
  await Promise.race([ended, delay(timeoutMs, undefined, { ref: false })])
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await ended
  }
}

interface ProcessInfo {
  readonly pid: number
  readonly parent: number
  readonly name: string
  readonly executable: string
}

/** All processes below this one, itself included. */
export async function processTree(root: number): Promise<readonly ProcessInfo[]> {
  const all: ProcessInfo[] = []
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = await readFile(`/proc/${entry}/stat`, 'utf8')
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const command = (await readFile(`/proc/${entry}/cmdline`, 'utf8')).split('\0')
      all.push({
        pid: Number(entry),
        parent: Number(rest[1]),
        name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')),
        executable: command[0] ?? '',
      })
    } catch {
      // It ended while we looked.
    }
  }
  const found = all.filter(({ pid }) => pid === root)
  for (const parent of found) found.push(...all.filter((one) => one.parent === parent.pid))
  return found
}

/** Proportional set size, bytes; 0 for a process that has ended. */
export async function pss(pid: number): Promise<number> {
  try {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

const shells = /(^|\/|-)(sh|bash|dash|zsh|ash|busybox)$/

/** PSS of all processes that the supervisor started, itself included, the users' shells and what runs in them excluded. */
export async function memoryOf(pid: number): Promise<number> {
  const tree = await processTree(pid)
  const excluded = new Set<number>()
  for (const one of tree) {
    const isShell = one.pid !== pid && (shells.test(one.executable) || shells.test(one.name))
    if (isShell || excluded.has(one.parent)) excluded.add(one.pid)
  }
  const sizes = await Promise.all(tree.filter((one) => !excluded.has(one.pid)).map((one) => pss(one.pid)))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Waits until these processes have nothing to do any more, so that the next measurement does not pay for the last one. */
export async function settled(pid: number): Promise<void> {
  const busyMs = async (): Promise<number> => {
    const all = await Promise.all(
      (await processTree(pid)).map((one) => readFile(`/proc/${one.pid}/stat`, 'utf8').catch(() => '')),
    )
    // utime and stime, the 12th and 13th after the name, in hundredths of a second.
    const ticks = all.map((stat) => stat.slice(stat.lastIndexOf(')') + 2).split(' '))
    return ticks.reduce((sum, fields) => sum + 10 * (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)), 0)
  }
  const end = performance.now() + 30_000
  for (let before = await busyMs(); performance.now() < end; ) {
    await delay(500)
    const now = await busyMs()
    if (now - before < 25) return
    before = now
  }
}
