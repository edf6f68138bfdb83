/** One shell or command on a node, wired to this process's terminal or pipes as `ssh` would. */

import { constants } from 'node:os'
import { pipeline } from 'node:stream/promises'
import type { SshClient } from '../../../ssh/client-types.ts'
import type { ClientSession, ExitResult, PtyRequest, TerminalSize } from '../../../ssh/connection/types.ts'
import type { Trace } from '../connect.ts'
import { EscapeFilter, escapeHelp } from './escape.ts'

export interface SessionOptions {
  readonly command: string | undefined
  readonly pty: boolean
  readonly forwardAgent: boolean
  readonly setEnv: readonly (readonly [string, string])[]
  readonly escape: string | undefined
  /** Lines for `~#`. */
  forwardLines(): readonly string[]
  readonly trace?: Trace
}

/** 128 and the signal's number, as shells report it. */
export function exitStatus(result: ExitResult | undefined): number | undefined {
  if (result === undefined) return undefined
  if (result.kind === 'exit') return result.status
  const numbers = constants.signals as Readonly<Record<string, number | undefined>>
  return 128 + (numbers[`SIG${result.signal}`] ?? 0)
}

function terminalSize(): TerminalSize {
  const { columns, rows } = process.stdout.isTTY ? process.stdout : { columns: 80, rows: 24 }
  return { columns: columns || 80, rows: rows || 24, widthPixels: 0, heightPixels: 0 }
}

/** Modes that matter when the real ones cannot be read: UTF-8 erase, DEL as erase, and a speed that no program takes for 0. */
const terminalModes: ReadonlyMap<number, number> = new Map([
  [3, 127],
  [42, 1],
  [128, 38_400],
  [129, 38_400],
])

function ptyRequest(): PtyRequest {
  return { ...terminalSize(), term: process.env.TERM ?? 'xterm', modes: terminalModes }
}

/** Environment that OpenSSH's default configuration sends too. */
function sendEnvironment(session: ClientSession, extra: SessionOptions['setEnv']): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && (name === 'LANG' || name.startsWith('LC_'))) session.setEnv(name, value)
  }
  for (const [name, value] of extra) session.setEnv(name, value)
}

/** Runs it to its end. Returns the exit status, or undefined when the connection ended without one. */
export async function runSession(client: SshClient, options: SessionOptions): Promise<number | undefined> {
  const session = await client.openSession()
  if (options.forwardAgent) await session.requestAgentForwarding()
  sendEnvironment(session, options.setEnv)
  if (options.pty) await session.requestPty(ptyRequest())
  if (options.command === undefined) await session.shell()
  else await session.exec(options.command)
  options.trace?.(options.command === undefined ? 'shell started' : 'command started')

  const raw = options.pty && process.stdin.isTTY
  const undo: (() => void)[] = []
  let broken = false
  try {
    if (raw) {
      process.stdin.setRawMode(true)
      undo.push(() => process.stdin.setRawMode(false))
    }
    if (options.pty) {
      const resized = () => session.windowChange(terminalSize())
      process.on('SIGWINCH', resized)
      undo.push(() => process.off('SIGWINCH', resized))
    }
    undo.push(...relaySignals(session, raw))
    const disconnect = () => {
      broken = true
      void client.close()
    }
    feedInput(session, raw ? options : { ...options, escape: undefined }, disconnect)
    const output = Promise.all([
      pipeline(session.channel, process.stdout, { end: false }),
      pipeline(session.stderr, process.stderr, { end: false }),
    ]).catch(() => undefined)
    const result = await session.exited
    await output
    options.trace?.('finished')
    return broken ? undefined : exitStatus(result)
  } finally {
    for (const step of undo.reverse()) step()
    process.stdin.pause()
  }
}

/** Input goes to the channel with backpressure; its end is sent as end of file. */
function feedInput(
  session: ClientSession,
  options: Pick<SessionOptions, 'escape' | 'forwardLines'>,
  disconnect: () => void,
): void {
  const { channel } = session
  const character = options.escape
  const filter =
    character === undefined
      ? undefined
      : new EscapeFilter(character, (action) => {
          switch (action) {
            case 'disconnect':
              process.stderr.write('\r\nConnection closed.\r\n')
              disconnect()
              return
            case 'help':
              process.stderr.write(`\r\n${escapeHelp(character)}`)
              return
            case 'list':
              process.stderr.write(`\r\n${options.forwardLines().join('\r\n')}\r\n`)
              return
            case 'suspend':
              suspend()
          }
        })
  const onData = (chunk: Buffer) => {
    const bytes = filter === undefined ? chunk : filter.filter(chunk)
    if (bytes.length > 0 && channel.writable && !channel.write(bytes)) {
      process.stdin.pause()
      channel.once('drain', () => process.stdin.resume())
    }
  }
  process.stdin.on('data', onData)
  process.stdin.once('end', () => channel.end())
  // A closed standard input (`0<&-`) reads as an error; the remote side then sees an empty input.
  process.stdin.once('error', () => channel.end())
  channel.once('close', () => process.stdin.off('data', onData))
  channel.on('error', () => undefined)
}

function suspend(): void {
  process.stdin.setRawMode(false)
  process.once('SIGCONT', () => process.stdin.setRawMode(true))
  process.kill(process.pid, 'SIGTSTP')
}

/** A first TERM, HUP or INT goes to the remote process; a second one, or silence for two seconds, ends tsh. */
function relaySignals(session: ClientSession, raw: boolean): (() => void)[] {
  const names = raw ? (['TERM', 'HUP'] as const) : (['INT', 'QUIT', 'TERM', 'HUP'] as const)
  let asked = false
  return names.map((name) => {
    const handler = () => {
      const code = 128 + constants.signals[`SIG${name}`]
      if (asked) process.exit(code)
      asked = true
      session.signal(name)
      setTimeout(() => process.exit(code), 2000).unref()
    }
    process.on(`SIG${name}`, handler)
    return () => process.off(`SIG${name}`, handler)
  })
}
