/** One shell or command on a node, wired to this process's terminal or pipes as `ssh` would. */

import { constants } from 'node:os'
import { pipeline } from 'node:stream/promises'
import { isAccessDenied } from '../../../errors/errors.ts'
import type { SshClient } from '../../../ssh/client-types.ts'
import type { ClientSession, ExitResult, TerminalSize, X11Request } from '../../../ssh/connection/types.ts'
import type { Trace } from '../connect.ts'
import { EscapeFilter, escapeHelp, type ModeratorAction } from './escape.ts'
import type { RawTerminal } from './raw-terminal.ts'

export interface SessionOptions {
  readonly command: string | undefined
  /** Instead of a command or a shell. */
  readonly subsystem?: string
  /** In somebody else's session: a signal that ends tsh is not passed on. */
  readonly isGuest?: boolean
  /** A moderator's escapes. */
  readonly moderate?: ((action: ModeratorAction) => void) | undefined
  readonly pty: boolean
  readonly forwardAgent: boolean
  readonly x11: X11Request | undefined
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

/** Environment that OpenSSH's default configuration sends too. */
function sendEnvironment(session: ClientSession, extra: SessionOptions['setEnv']): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && (name === 'LANG' || name.startsWith('LC_'))) session.setEnv(name, value)
  }
  for (const [name, value] of extra) session.setEnv(name, value)
}

async function askForX11(session: ClientSession, request: X11Request): Promise<void> {
  try {
    await session.requestX11(request)
  } catch (error) {
    if (!isAccessDenied(error)) throw error
    process.stderr.write(
      'tsh: warning: the node refused X11 forwarding; a role must permit it (permit_x11_forwarding)\n',
    )
  }
}

/** Runs it to its end. Returns the exit status, or undefined when the connection ended without one. */
export async function runSession(client: SshClient, options: SessionOptions): Promise<number | undefined> {
  const session = await client.openSession()
  if (options.forwardAgent) await session.requestAgentForwarding()
  if (options.x11 !== undefined) await askForX11(session, options.x11)
  sendEnvironment(session, options.setEnv)
  const terminal = options.pty && process.stdin.isTTY ? (await import('./raw-terminal.ts')).rawTerminal() : undefined
  if (options.pty) {
    const term = process.env.TERM ?? 'xterm'
    await session.requestPty({ ...terminalSize(), term, modes: terminal?.modes ?? new Map() })
  }
  if (options.subsystem !== undefined) await session.subsystem(options.subsystem)
  else if (options.command === undefined) await session.shell()
  else await session.exec(options.command)
  options.trace?.(options.command === undefined ? 'shell started' : 'command started')

  const undo: (() => void)[] = []
  let broken = false
  try {
    if (terminal !== undefined) {
      terminal.enter()
      undo.push(() => terminal.leave())
    }
    if (options.pty) {
      const resized = () => session.windowChange(terminalSize())
      process.on('SIGWINCH', resized)
      undo.push(() => process.off('SIGWINCH', resized))
    }
    const disconnect = () => {
      broken = true
      void client.close()
    }
    undo.push(...relaySignals(session, terminal !== undefined, options.isGuest === true ? disconnect : undefined))
    feedInput(session, terminal, options, disconnect)
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
  terminal: RawTerminal | undefined,
  options: Pick<SessionOptions, 'escape' | 'forwardLines' | 'moderate'>,
  disconnect: () => void,
): void {
  const { channel } = session
  const character = options.escape
  const filter =
    character === undefined || terminal === undefined
      ? undefined
      : new EscapeFilter(
          character,
          (action) => {
            switch (action) {
              case 'disconnect':
                process.stderr.write('\r\nConnection closed.\r\n')
                disconnect()
                return
              case 'help':
                process.stderr.write(`\r\n${escapeHelp(character, options.moderate !== undefined)}`)
                return
              case 'list':
                process.stderr.write(`\r\n${options.forwardLines().join('\r\n')}\r\n`)
                return
              case 'suspend':
                suspend(terminal)
                return
              case 'pause':
              case 'resume':
              case 'end':
                options.moderate?.(action)
            }
          },
          options.moderate !== undefined,
        )
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

function suspend(terminal: RawTerminal): void {
  terminal.leave()
  process.once('SIGCONT', () => terminal.enter())
  process.kill(process.pid, 'SIGTSTP')
}

/**
 * A first TERM, HUP or INT goes to the remote process, or is answered by `leave`; a second one, or silence for two seconds, ends
 * tsh.
 */
function relaySignals(session: ClientSession, raw: boolean, leave?: () => void): (() => void)[] {
  const names = raw ? (['TERM', 'HUP'] as const) : (['INT', 'QUIT', 'TERM', 'HUP'] as const)
  let asked = false
  return names.map((name) => {
    const handler = () => {
      const code = 128 + constants.signals[`SIG${name}`]
      if (asked) process.exit(code)
      asked = true
      if (leave === undefined) session.signal(name)
      else leave()
      setTimeout(() => process.exit(code), 2000).unref()
    }
    process.on(`SIG${name}`, handler)
    return () => process.off(`SIG${name}`, handler)
  })
}
