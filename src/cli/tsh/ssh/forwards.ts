/** -L, -R and -D of `tsh ssh`: listeners here, channels there, and the other way round. */

import { once } from 'node:events'
import { createConnection } from 'node:net'
import type { Duplex } from 'node:stream'
import { ConnectionProblem } from '../../../errors/errors.ts'
import { convertSystemError, messageOf } from '../../../errors/system.ts'
import type { SshClient, SshClientOptions } from '../../../ssh/client-types.ts'
import type { ForwardedOrigin } from '../../../ssh/connection/types.ts'
import type { ForwardListener, ListenAt } from '../../../ssh/forward/listen.ts'
import { forwardDynamic, forwardLocal } from '../../../ssh/forward/local.ts'
import { errorLine } from '../../common/exit.ts'
import { printable } from '../../common/printable.ts'
import { type Endpoint, endpointText, type Forward } from './forward-spec.ts'

export interface RunningForwards {
  /** For `~#`. */
  readonly lines: readonly string[]
  close(): void
}

/** Starts all of them. A failure is a warning, or with `strict` (ExitOnForwardFailure) an error. */
export async function startForwards(
  client: SshClient,
  forwards: readonly Forward[],
  strict: boolean,
): Promise<RunningForwards> {
  const listeners: ForwardListener[] = []
  const lines: string[] = []
  const close = () => {
    for (const listener of listeners) void listener.close(true)
  }
  for (const forward of forwards) {
    try {
      lines.push(await start(client, forward, listeners))
    } catch (error) {
      if (strict) {
        close()
        throw error
      }
      process.stderr.write(`tsh: warning: ${errorLine(error)}\n`)
    }
  }
  return { lines, close }
}

async function start(client: SshClient, forward: Forward, listeners: ForwardListener[]): Promise<string> {
  const listen = endpointText(forward.listen)
  const onError = (message: string) => process.stderr.write(`tsh: forward ${listen}: ${printable(message)}\r\n`)
  switch (forward.kind) {
    case 'local': {
      const { target } = forward
      listeners.push(await forwardLocal(listenAt(forward.listen), () => openChannel(client, target), onError))
      return `local ${listen} -> ${endpointText(target)}`
    }
    case 'dynamic':
      listeners.push(
        await forwardDynamic(listenAt(forward.listen), (host, port) => client.openDirectTcpip(host, port), onError),
      )
      return `dynamic ${listen}`
    case 'remote':
      await startRemote(client, forward.listen, forward.target)
      return `remote ${listen} -> ${endpointText(forward.target)}`
  }
}

async function startRemote(client: SshClient, listen: Endpoint, target: Endpoint): Promise<void> {
  const refused = (error: unknown) => {
    throw new ConnectionProblem(`-R ${endpointText(listen)}: the node refused to listen there (${messageOf(error)})`, {
      cause: error,
    })
  }
  if (listen.kind === 'unix') return await client.requestStreamlocalForward(listen.path).catch(refused)
  const port = await client.requestTcpipForward(listen.host, listen.port).catch(refused)
  if (listen.port === 0) process.stderr.write(`Allocated port ${port} for remote forward to ${endpointText(target)}\n`)
}

/** An empty host means every address. */
const listenAt = (endpoint: Endpoint): ListenAt =>
  endpoint.kind === 'unix'
    ? { path: endpoint.path }
    : { host: endpoint.host === '' ? '::' : endpoint.host, port: endpoint.port }

const openChannel = (client: SshClient, endpoint: Endpoint): Promise<Duplex> =>
  endpoint.kind === 'unix'
    ? client.openDirectStreamlocal(endpoint.path)
    : client.openDirectTcpip(endpoint.host, endpoint.port)

async function dial(endpoint: Endpoint): Promise<Duplex> {
  const socket =
    endpoint.kind === 'unix'
      ? createConnection({ path: endpoint.path, allowHalfOpen: true })
      : createConnection({ host: endpoint.host, port: endpoint.port, allowHalfOpen: true, noDelay: true })
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    throw convertSystemError(error, `connect to ${endpointText(endpoint)}`)
  }
}

/** Handlers for connections that the node accepted for our -R. Only what was asked for is connected. */
export function remoteHandlers(
  forwards: readonly Forward[],
): Pick<SshClientOptions, 'onForwardedTcpip' | 'onForwardedStreamlocal'> {
  const remotes = forwards.filter((forward) => forward.kind === 'remote')
  return {
    async onForwardedTcpip(bound: ForwardedOrigin) {
      const exact = remotes.find((each) => each.listen.kind === 'tcp' && each.listen.port === bound.port)
      const match = exact ?? remotes.find((each) => each.listen.kind === 'tcp' && each.listen.port === 0)
      if (match === undefined) throw new ConnectionProblem('no such forward')
      return await dial(match.target)
    },
    async onForwardedStreamlocal(path: string) {
      const match = remotes.find((each) => each.listen.kind === 'unix' && each.listen.path === path)
      if (match === undefined) throw new ConnectionProblem('no such forward')
      return await dial(match.target)
    },
  }
}
