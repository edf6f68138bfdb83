/** A program of a user, with pipes or on a terminal, and everything needed to talk to it and to end it. */

import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { Env } from '../../common/env.ts'
import { errnoOf } from '../../errors/system.ts'
import type { ExitResult, PtyRequest, SignalName } from '../../ssh/connection/types.ts'
import type { Account } from './account-files.ts'
import type { StartDirectory } from './home.ts'
import type { Privileges } from './privileges.ts'
import { signalNumber } from './reaper.ts'
import { loginShellArgv } from './shell.ts'
import { enlargePipe, makePipe, type Pipe, type SpawnedChild, spawn } from './spawn.ts'
import { openTerminal, type Terminal } from './terminal.ts'

export type Program =
  | { readonly kind: 'login-shell' }
  /** Through the account's shell, not as a login shell. Bytes, since a command need not be UTF-8. */
  | { readonly kind: 'command'; readonly command: Buffer }
  | { readonly kind: 'file'; readonly file: string; readonly args: readonly string[] }
  /** One of our own that takes the account's rights itself, since the account cannot read it. */
  | { readonly kind: 'own'; launch(account: Account, directory: string): OwnProgram }

export interface OwnProgram {
  readonly file: string
  readonly argv: readonly string[]
  /** All of it: what a user can set must not reach a program that still is root. */
  readonly env: Readonly<Record<string, string>>
}

export interface ProcessRequest {
  readonly account: Account
  readonly program: Program
  readonly env: Readonly<Record<string, string>>
  readonly directory: StartDirectory
  readonly pty: PtyRequest | undefined
  /** Gid of the group `tty`, so that `write` and `wall` work. */
  readonly ttyGid: number | undefined
  readonly privileges: Privileges
  readonly clock: Env
}

export interface UserProcess {
  readonly pid: number
  readonly stdin: Writable
  readonly stdout: Readable
  /** Undefined on a terminal. */
  readonly stderr: Readable | undefined
  readonly terminal: Terminal | undefined
  /** Something the user should read first, such as a missing home directory. */
  readonly notice: string | undefined
  readonly exited: Promise<ExitResult>
  /** To the process group; unknown names and signals after the end are ignored. */
  signal(name: SignalName): void
  /** The client is gone: closes the streams, and SIGHUP goes to the group. What ignores it (nohup) stays, by its own choice. */
  hangup(): void
}

/** Starts the program. Throws a kind of `src/errors` when it cannot be started or the daemon may not act as the account. */
export function startProcess(request: ProcessRequest): UserProcess {
  request.privileges.check(request.account)
  return request.pty === undefined ? startOnPipes(request) : startOnTerminal(request, request.pty)
}

function startOnPipes(request: ProcessRequest): UserProcess {
  const pipes: Pipe[] = []
  const next = (): Pipe => {
    const pipe = makePipe()
    pipes.push(pipe)
    return pipe
  }
  let child: SpawnedChild
  let ends: { readonly stdin: number; readonly stdout: number; readonly stderr: number }
  const { directory } = request
  try {
    const [stdin, stdout, stderr] = [next(), next(), next()]
    if (request.program.kind === 'own') for (const { write } of [stdin, stdout]) enlargePipe(write)
    child = launch(request, directory.path, request.env, {
      kind: 'fds',
      stdin: stdin.read,
      stdout: stdout.write,
      stderr: stderr.write,
    })
    ends = { stdin: stdin.write, stdout: stdout.read, stderr: stderr.read }
    for (const fd of [stdin.read, stdout.write, stderr.write]) closeSync(fd)
  } catch (error) {
    for (const { read, write } of pipes) {
      closeSync(read)
      closeSync(write)
    }
    throw error
  }
  const stdin = new Socket({ fd: ends.stdin, readable: false, writable: true })
  const stdout = new Socket({ fd: ends.stdout, readable: true, writable: false })
  const stderr = new Socket({ fd: ends.stderr, readable: true, writable: false })
  // A program that ends without reading its input is no error of the session.
  stdin.on('error', () => {})
  return {
    ...processControl(child, (signalGroup) => {
      stdin.destroy()
      stdout.destroy()
      stderr.destroy()
      signalGroup('HUP')
    }),
    stdin,
    stdout,
    stderr,
    terminal: undefined,
    notice: directory.notice,
  }
}

function startOnTerminal(request: ProcessRequest, pty: PtyRequest): UserProcess {
  const { account, ttyGid, directory } = request
  const terminal = openTerminal(
    pty,
    ttyGid === undefined
      ? { uid: account.uid, gid: account.gid, mode: 0o600 }
      : { uid: account.uid, gid: ttyGid, mode: 0o620 },
    request.clock,
  )
  try {
    const env = { ...request.env, SSH_TTY: terminal.path, ...(pty.term === '' ? {} : { TERM: pty.term }) }
    const child = launch(request, directory.path, env, { kind: 'terminal', path: terminal.path })
    return {
      ...processControl(child, (signalGroup) => {
        // One after the other: the kernel too signals the shell when its terminal goes, and bash, signalled twice, may end before
        // it has passed the hang-up on to its jobs.
        signalGroup('HUP')
        void Promise.race([child.exited, request.clock.sleep(hangupMs)]).finally(() => terminal.close())
      }),
      stdin: terminal.input,
      stdout: terminal.output,
      stderr: undefined,
      terminal,
      notice: directory.notice?.replaceAll('\n', '\r\n'),
    }
  } catch (error) {
    terminal.close()
    throw error
  }
}

function launch(
  request: ProcessRequest,
  cwd: string,
  env: Readonly<Record<string, string>>,
  stdio: Parameters<typeof spawn>[0]['stdio'],
): SpawnedChild {
  const { account, privileges, program } = request
  if (program.kind === 'own') {
    // It enters the directory with the account's rights.
    return spawn({ ...program.launch(account, cwd), cwd: '/', stdio })
  }
  const { file, argv } = programOf(request, program)
  return spawn({ ...privileges.command(account, file, argv), env, cwd, stdio })
}

function programOf(
  { account, privileges }: ProcessRequest,
  program: Exclude<Program, { kind: 'own' }>,
): { readonly file: string; readonly argv: readonly (string | Buffer)[] } {
  switch (program.kind) {
    case 'login-shell':
      return { file: account.shell, argv: loginShellArgv(account.shell, privileges.canSetName) }
    case 'command':
      return { file: account.shell, argv: [account.shell, '-c', program.command] }
    case 'file':
      return { file: program.file, argv: [program.file, ...program.args] }
  }
}

/** Time for a shell to pass a hang-up on to its jobs before its terminal goes. */
const hangupMs = 1000

function processControl(
  child: SpawnedChild,
  hangUp: (signalGroup: (name: string) => void) => void,
): Pick<UserProcess, 'pid' | 'exited' | 'signal' | 'hangup'> {
  let running = true
  const exited = child.exited.then((result) => {
    running = false
    return result
  })
  const send = (number: number): void => {
    // The group may outlive its leader, but its number may then be somebody else's: only a leader we have not reaped is safe.
    if (!running) return
    try {
      process.kill(-child.pid, number)
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH' && errnoOf(error) !== 'EPERM') throw error
    }
  }
  const signal = (name: string): void => {
    const number = signalNumber(name)
    if (number !== undefined) send(number)
  }
  return { pid: child.pid, exited, signal, hangup: () => hangUp(signal) }
}
