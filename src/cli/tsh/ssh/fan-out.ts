/** `tsh ssh env=prod CMD`: the command on every node that matches, in parallel, each line with its host's name. */

import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Presence } from '../../../api/model.ts'
import { BadParameter, NotFound } from '../../../errors/errors.ts'
import { convertSystemError } from '../../../errors/system.ts'
import type { SshClient } from '../../../ssh/client-types.ts'
import { errorLine, exitCode } from '../../common/exit.ts'
import { printable } from '../../common/printable.ts'
import { connectNode, connectProxy } from '../connect.ts'
import type { ActiveLogin } from '../login-state.ts'
import { listNodes, matchesSelector } from '../nodes.ts'
import type { SshRequest } from './options.ts'
import { osLogin } from './os-login.ts'
import { exitStatus } from './session.ts'

/** Connections to nodes that are open at the same time. */
const parallel = 32

interface Outcome {
  readonly name: string
  /** Undefined when there was no status to report. */
  readonly status: number | undefined
  readonly error?: string
}

/** The exit code; or, for a shell on the only node that matches, that node. */
export async function runOnMatches(
  request: SshRequest,
  selector: ReadonlyMap<string, string>,
  login: ActiveLogin,
): Promise<number | { readonly only: string }> {
  const nodes = (await listNodes(login)).filter((node) => matchesSelector(node.labels, selector))
  const [only] = nodes
  if (only === undefined) throw new NotFound(`no node matches ${request.host}`)
  if (request.command === undefined) {
    if (nodes.length > 1)
      throw new BadParameter(
        'command',
        `${nodes.length} nodes match ${request.host}: name a command to run on all of them`,
      )
    return { only: only.uuid }
  }
  if (request.logDir !== undefined) makeLogDirectory(request.logDir)
  const proxy = await connectProxy(login)
  try {
    const outcomes: Outcome[] = []
    const queue = [...nodes]
    const names = uniqueNames(nodes)
    const worker = async () => {
      for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
        outcomes.push(await runOne(proxy, login, request, node, names.get(node.uuid) ?? node.hostname))
      }
    }
    await Promise.all(Array.from({ length: Math.min(parallel, nodes.length) }, worker))
    return summarise(outcomes)
  } finally {
    void proxy.close()
  }
}

function makeLogDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw convertSystemError(error, `create ${path}`)
  }
}

/** Host names, with the uuid added where two nodes share one; safe as a file name and on a terminal. */
function uniqueNames(nodes: readonly Presence[]): ReadonlyMap<string, string> {
  const counts = new Map<string, number>()
  for (const node of nodes) counts.set(node.hostname, (counts.get(node.hostname) ?? 0) + 1)
  return new Map(
    nodes.map((node) => {
      const name = printable(node.hostname)
        .replaceAll(/[/\\?]/g, '_')
        .replace(/^\.+/, '_')
      return [node.uuid, (counts.get(node.hostname) ?? 0) > 1 ? `${name}-${node.uuid}` : name]
    }),
  )
}

async function runOne(
  proxy: SshClient,
  login: ActiveLogin,
  request: SshRequest,
  node: Presence,
  name: string,
): Promise<Outcome> {
  const log =
    request.logDir === undefined ? undefined : createWriteStream(join(request.logDir, `${name}.log`), { mode: 0o600 })
  log?.on('error', () => undefined)
  let client: SshClient | undefined
  try {
    const target = { host: node.uuid, port: request.port ?? 0, login: osLogin(request, login) }
    client = await connectNode(proxy, login, target, { batch: true })
    const session = await client.openSession()
    for (const [key, value] of request.setEnv) session.setEnv(key, value)
    await session.exec(request.command ?? '')
    session.channel.end()
    const [result] = await Promise.all([
      session.exited,
      prefixLines(session.channel, process.stdout, name, log),
      prefixLines(session.stderr, process.stderr, name, log),
    ])
    return { name, status: exitStatus(result) }
  } catch (error) {
    return { name, status: undefined, error: errorLine(error) }
  } finally {
    void client?.close()
    if (log !== undefined) {
      log.end()
      await finished(log).catch(() => undefined)
    }
  }
}

/** Characters of one line that are held back until its end comes; longer ones are broken. */
const maxLine = 65_536

async function prefixLines(
  from: Readable,
  to: NodeJS.WritableStream,
  name: string,
  log: WriteStream | undefined,
): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  const put = (line: string) => to.write(`[${name}] ${line}\n`)
  for await (const chunk of from as AsyncIterable<Buffer>) {
    log?.write(chunk)
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) put(line.replace(/\r$/, ''))
    if (rest.length > maxLine) {
      put(rest)
      rest = ''
    }
  }
  if (rest !== '') put(rest)
}

function summarise(outcomes: readonly Outcome[]): number {
  const failed = outcomes.filter((outcome) => outcome.status !== 0)
  process.stderr.write(`\n${outcomes.length - failed.length} of ${outcomes.length} hosts succeeded\n`)
  for (const outcome of failed.sort((a, b) => a.name.localeCompare(b.name))) {
    process.stderr.write(`  ${outcome.name}: ${outcome.error ?? `exit status ${outcome.status ?? 'unknown'}`}\n`)
  }
  return failed.length === 0 ? exitCode.ok : exitCode.failure
}
