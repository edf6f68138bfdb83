/** The figure about typing in a browser: from a keystroke to its echo, beside the same through OpenSSH and the same proxy on the same node. */

import { spawn } from 'node:child_process'
import { userInfo } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { type TerminalNotice, type TerminalRequest, terminalPath, terminalProtocol } from '../src/api/web-app.ts'
import type { Cluster } from './cluster.ts'
import { stop } from './processes.ts'
import type { Context, Figure, Row } from './rows.ts'
import { alternate, percentile } from './statistics.ts'
import { firstNodes, logIn, setPassword } from './web-session.ts'

/** A terminal, whatever it goes through. */
interface Terminal extends AsyncDisposable {
  write(text: string): void
  onOutput: (text: string) => void
  /** Rejects when it ends. */
  readonly ended: Promise<never>
}

/** From a shell to a program that does nothing, so that the echo is the kernel's. */
const silent = 'echo still-$((40+2)); exec cat >/dev/null\n'
/** Milliseconds between two keystrokes of a quick typist's two hands; without them nothing would ever be cold. */
const pause = 20
const longest = 30_000
/** Bytes of output that the page shows before it says so. */
const confirmEvery = 64 * 1024

async function echo({ cluster, quick }: Context): Promise<Figure> {
  await setPassword(cluster)
  await using ours = await overWebSocket(cluster)
  await using theirs = overSsh(cluster)
  for (const terminal of [ours, theirs]) await seen(terminal, 'still-42', silent)
  const type = (terminal: Terminal) => async () => {
    await delay(pause)
    const begin = performance.now()
    await seen(terminal, 'x', 'x')
    return performance.now() - begin
  }
  await alternate(100, type(ours), type(theirs))
  const samples = await alternate(quick ? 200 : 1000, type(ours), type(theirs))
  return { ours: percentile(samples.ours, 95), theirs: percentile(samples.theirs, 95), unit: 'ms' }
}

/** Writes, and waits until the output has that. */
async function seen(terminal: Terminal, wanted: string, written: string): Promise<void> {
  let output = ''
  const found = Promise.withResolvers<void>()
  terminal.onOutput = (text) => {
    output += text
    if (output.includes(wanted)) found.resolve()
  }
  const timer = setTimeout(() => found.reject(new Error(`no ${wanted} in ${longest} ms: ${output}`)), longest)
  try {
    terminal.write(written)
    await Promise.race([found.promise, terminal.ended])
  } finally {
    clearTimeout(timer)
    terminal.onOutput = () => {}
  }
}

/** Speaks as the page does, up to telling how much it has shown. */
async function overWebSocket(cluster: Cluster): Promise<Terminal> {
  const session = await logIn(cluster)
  const { items } = await firstNodes(session)
  const query = new URLSearchParams({ node: items[0]?.uuid ?? '', login: userInfo().username })
  const socket = new WebSocket(
    `wss://127.0.0.1:${cluster.ports.web}${terminalPath}?${query}`,
    [terminalProtocol, `csrf.${session.csrfToken}`],
    { headers: { cookie: session.cookie }, origin: session.origin, rejectUnauthorized: false },
  )
  socket.binaryType = 'nodebuffer'
  const ready = Promise.withResolvers<void>()
  let unconfirmed = 0
  const ended = Promise.withResolvers<never>()
  ended.promise.catch(() => {})
  const terminal: Terminal = {
    write: (text) => socket.send(Buffer.from(text)),
    onOutput: () => {},
    ended: ended.promise,
    async [Symbol.asyncDispose]() {
      socket.terminate()
    },
  }
  const end = (reason: string) => ended.reject(new Error(`the terminal of the browser ended: ${reason}`))
  socket.on('error', (error) => end(error.message))
  socket.on('close', (code) => end(`code ${code}`))
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) {
      terminal.onOutput(String(data))
      unconfirmed += data.length
      if (unconfirmed < confirmEvery) return
      socket.send(JSON.stringify({ type: 'shown', bytes: unconfirmed } satisfies TerminalRequest))
      unconfirmed = 0
      return
    }
    const notice = JSON.parse(String(data)) as TerminalNotice
    if (notice.type === 'ready') ready.resolve()
    if (notice.type === 'end') end(notice.message)
  })
  await Promise.race([ready.promise, terminal.ended])
  return terminal
}

function overSsh(cluster: Cluster): Terminal {
  const [program = '', ...argv] = cluster.ssh
  // From OpenSSH 9.5 on, `ssh` holds keystrokes back for up to 20 ms, to hide when they were typed; compared is what comes after.
  const prompt = ['-tt', '-o', 'IgnoreUnknown=ObscureKeystrokeTiming', '-o', 'ObscureKeystrokeTiming=no']
  const child = spawn(program, [...prompt, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = Promise.withResolvers<never>()
  ended.promise.catch(() => {})
  const terminal: Terminal = {
    write: (text) => void child.stdin.write(text),
    onOutput: () => {},
    ended: ended.promise,
    [Symbol.asyncDispose]: () => stop(child),
  }
  child.on('error', (error) => ended.reject(error))
  child.on('exit', () => ended.reject(new Error('the terminal of ssh ended')))
  child.stdout.on('data', (chunk) => terminal.onOutput(String(chunk)))
  return terminal
}

export const webEchoRow: Row = {
  name: 'web-echo',
  title: 'keystroke to echo (p95) through the WebSocket of a browser, beside `ssh` through the same proxy',
  goal: { is: 'at most', value: 1.3 },
  measure: echo,
}
