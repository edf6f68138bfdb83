/** `tsh scp` from connections to exit code: 0, 1 when a file could not be copied, 2 for bad input, 255 for connection trouble. */

import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { realEnv } from '../../../common/env.ts'
import { BadParameter, isNotFound, NotFound } from '../../../errors/errors.ts'
import type { SshClient } from '../../../ssh/client-types.ts'
import type { ClientSession } from '../../../ssh/connection/types.ts'
import { connectSftp } from '../../../ssh/sftp/client.ts'
import { expandGlob, hasWildcards } from '../../../ssh/sftp/glob.ts'
import { exitCode } from '../../common/exit.ts'
import { printable, printableLines } from '../../common/printable.ts'
import { connectNode, connectProxy, type Trace } from '../connect.ts'
import type { ActiveLogin, Wanted } from '../login-state.ts'
import type { SshRequest } from '../ssh/options.ts'
import { osLogin } from '../ssh/os-login.ts'
import { connectionTrouble, prepare } from '../ssh/run-node.ts'
import { shown, toText } from './bytes.ts'
import { Copier } from './copier.ts'
import type { FileSystem } from './file-system.ts'
import { localFiles } from './local-files.ts'
import type { End, RemoteEnd, ScpRequest } from './options.ts'
import { Meter, noProgress, type Progress } from './progress.ts'
import { RemoteFiles } from './remote-files.ts'

/** The user's signal that ended it. */
class Interrupted extends Error {
  readonly status: number
  constructor(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') {
    super('interrupted')
    this.status = 128 + constants.signals[signal]
  }
}

/** Never throws. */
export async function runScp(request: ScpRequest, wanted: Wanted): Promise<number> {
  const stop = new AbortController()
  const undo = onSignals((error) => stop.abort(error))
  const progress = request.quiet || !process.stdout.isTTY ? noProgress : meter()
  const report = (line: string) => {
    progress.interrupt()
    process.stderr.write(`tsh: ${printableLines(line)}\n`)
  }
  const nodes = new Nodes(wanted, stop.signal)
  try {
    const failures = await copyAll(request, nodes, { signal: stop.signal, progress, report })
    progress.finish()
    await nodes.finish()
    return failures === 0 ? exitCode.ok : exitCode.failure
  } catch (error) {
    progress.finish()
    if (!(stop.signal.reason instanceof Interrupted)) return connectionTrouble(error)
    process.stderr.write('tsh: interrupted\n')
    return stop.signal.reason.status
  } finally {
    undo()
    nodes.close()
  }
}

interface Surroundings {
  readonly signal: AbortSignal
  readonly progress: Progress
  report(line: string): void
}

/** Returns the number of failures. */
async function copyAll(request: ScpRequest, nodes: Nodes, surroundings: Surroundings): Promise<number> {
  const { report } = surroundings
  const [to, target] = await nodes.open(request.target)
  const into = await isDirectory(to, target)
  let failures = 0
  const groups: { readonly from: FileSystem; readonly paths: readonly string[] }[] = []
  for (const source of request.sources) {
    const [from, path] = await nodes.open(source)
    const paths = await expand(from, path)
    if (paths.length > 0) groups.push({ from, paths })
    else {
      failures++
      report(new NotFound(`${from.label}${shown(path)}: no such file or directory`).message)
    }
  }
  const many = request.sources.length > 1 || groups.some(({ paths }) => paths.length > 1)
  if (many && !into)
    throw new BadParameter('target', `${to.label}${shown(target)}: is not a directory, and there are several sources`)
  for (const { from, paths } of groups) {
    const copier = new Copier(from, to, { recursive: request.recursive, preserve: request.preserve, ...surroundings })
    await copier.copy(paths, target, into)
    failures += copier.failures
  }
  return failures
}

async function isDirectory(files: FileSystem, path: string): Promise<boolean> {
  try {
    return (await files.facts(path)).kind === 'directory'
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

/** What a pattern matches; a path without wildcards, and a pattern that is itself the name of a file, stays as it is. */
async function expand(files: FileSystem, path: string): Promise<readonly string[]> {
  if (!hasWildcards(path)) return [path]
  const matches = await expandGlob(path, {
    names: async function* (directory) {
      for await (const entry of files.list(directory)) if (!('refused' in entry)) yield entry.name
    },
    exists: (one) =>
      files.facts(one).then(
        () => true,
        () => false,
      ),
    isDirectory: (one) => isDirectory(files, one).catch(() => false),
    text: toText,
  })
  if (matches.length > 0) return matches
  return (await files.facts(path).then(
    () => true,
    () => false,
  ))
    ? [path]
    : []
}

/** Milliseconds that servers have to end in. */
const goodbyeMs = 2_000

/** The connections of one command: one to the proxy, and through it one for each login on a node. */
class Nodes {
  readonly #wanted: Wanted
  readonly #signal: AbortSignal
  readonly #open = new Map<string, Promise<RemoteFiles>>()
  #proxy:
    | Promise<{ readonly client: SshClient; readonly login: ActiveLogin; readonly trace: Trace | undefined }>
    | undefined
  readonly #clients: SshClient[] = []
  readonly #sessions: ClientSession[] = []
  /** Not every step of connecting looks at the signal. */
  readonly #aborted: Promise<never>

  constructor(wanted: Wanted, signal: AbortSignal) {
    this.#wanted = wanted
    this.#signal = signal
    this.#aborted = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    this.#aborted.catch(() => undefined)
  }

  /** The file system, and the path in it. */
  async open(end: End): Promise<readonly [FileSystem, string]> {
    if (end.kind === 'local') return [localFiles, end.path]
    let files = this.#open.get(end.key)
    if (files === undefined) {
      files = this.#connect(end)
      this.#open.set(end.key, files)
    }
    const opened = await Promise.race([files, this.#aborted])
    return [opened, await opened.home(end.path)]
  }

  async #connect({ request }: RemoteEnd): Promise<RemoteFiles> {
    this.#proxy ??= this.#connectProxy(request)
    const { client: proxy, login, trace } = await this.#proxy
    const target = { host: request.host, port: request.port ?? 0, login: osLogin(request, login) }
    const client = await connectNode(proxy, login, target, {
      ...dialOptions(request, trace, this.#signal),
      onBanner: (text) => process.stderr.write(printableLines(text)),
    })
    this.#clients.push(client)
    const session = await client.openSession()
    this.#sessions.push(session)
    session.stderr.on('data', (text: Buffer) => process.stderr.write(printableLines(text.toString('utf8'))))
    const label = `${printable(request.host)}:`
    // The greeting leaves with the request for the subsystem, which spares a round trip.
    const [sftp] = await Promise.all([
      connectSftp(session.channel, { signal: this.#signal, label }),
      session.subsystem('sftp'),
    ])
    trace?.(`SFTP on ${request.host}`)
    return new RemoteFiles(sftp, label)
  }

  async #connectProxy(request: SshRequest) {
    const prepared = prepare(request, this.#wanted)
    const { login, trace } = prepared
    const socket: { socket?: Promise<Socket> } = prepared.socket === undefined ? {} : { socket: prepared.socket }
    const client = await connectProxy(login, { ...dialOptions(request, trace, this.#signal), ...socket })
    this.#clients.push(client)
    return { client, login, trace }
  }

  /** Lets the servers end by themselves, so that the nodes' records say that all was done, not that a client went away. */
  async finish(): Promise<void> {
    const ended = this.#sessions.map(({ channel, exited }) => {
      channel.end()
      return exited
    })
    await Promise.race([Promise.all(ended), this.#aborted, realEnv.sleep(goodbyeMs)])
  }

  /** The peers' goodbye is not waited for: it must not delay the prompt. */
  close(): void {
    for (const client of this.#clients.reverse()) void client.close()
  }
}

const dialOptions = (request: SshRequest, trace: Trace | undefined, signal: AbortSignal) => ({
  timeoutMs: request.connectTimeoutMs,
  signal,
  ...(trace === undefined ? {} : { trace }),
  ...(request.keepAliveMs > 0
    ? { keepAlive: { intervalMs: request.keepAliveMs, maxMissed: request.keepAliveMissed } }
    : {}),
})

const meter = (): Progress =>
  new Meter({ write: (text) => process.stdout.write(text), columns: () => process.stdout.columns || 80 }, realEnv)

function onSignals(abort: (error: Interrupted) => void): () => void {
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const handlers = names.map((name) => {
    let asked = false
    const handler = () => {
      const error = new Interrupted(name)
      // A second one does not wait for anything.
      if (asked) process.exit(error.status)
      asked = true
      abort(error)
    }
    process.on(name, handler)
    return () => void process.off(name, handler)
  })
  return () => {
    for (const undo of handlers) undo()
  }
}
