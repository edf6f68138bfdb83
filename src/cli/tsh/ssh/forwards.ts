/** -L, -R and -D: listeners here, channels there, and the other way round. */

import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ConnectionProblem } from '../../../errors/errors.ts'
import { convertSystemError } from '../../../errors/system.ts'
import type { SshClient, SshClientOptions } from '../../../ssh/client-types.ts'
import type { ForwardedOrigin } from '../../../ssh/connection/types.ts'
import { errorLine } from '../../common/exit.ts'
import { type Endpoint, endpointText, type Forward } from './forward-spec.ts'
import { acceptSocks } from './socks.ts'

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
  const servers: Server[] = []
  const lines: string[] = []
  for (const forward of forwards) {
    try {
      lines.push(await start(client, forward, servers))
    } catch (error) {
      if (strict) throw error
      process.stderr.write(`tsh: warning: ${errorLine(error)}\n`)
    }
  }
  return {
    lines,
    close() {
      for (const server of servers) server.close()
    },
  }
}

async function start(client: SshClient, forward: Forward, servers: Server[]): Promise<string> {
  const listen = endpointText(forward.listen)
  if (forward.kind === 'remote') {
    if (forward.listen.kind === 'unix') await client.requestStreamlocalForward(forward.listen.path)
    else {
      const port = await client
        .requestTcpipForward(forward.listen.host, forward.listen.port)
        .catch((error: unknown) => {
          throw new ConnectionProblem(`-R ${listen}: the node refused to listen there`, { cause: error })
        })
      if (forward.listen.port === 0)
        process.stderr.write(`Allocated port ${port} for remote forward to ${endpointText(forward.target)}\n`)
    }
    return `remote ${listen} -> ${endpointText(forward.target)}`
  }
  const open = async (socket: Socket) => {
    const target = forward.kind === 'dynamic' ? await acceptSocks(socket) : undefined
    const endpoint: Endpoint | undefined = forward.kind === 'dynamic' ? target?.endpoint : forward.target
    if (endpoint === undefined) return
    const channel = await openChannel(client, endpoint, socket).catch((error: unknown) => {
      target?.refuse()
      throw error
    })
    target?.accept()
    await splice(socket, channel)
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined)
    open(socket).catch((error: unknown) => {
      socket.destroy()
      process.stderr.write(`tsh: forward ${listen}: ${errorLine(error)}\r\n`)
    })
  })
  servers.push(server)
  await listenOn(server, forward.listen)
  return `${forward.kind} ${listen}${forward.kind === 'dynamic' ? '' : ` -> ${endpointText(forward.target)}`}`
}

async function listenOn(server: Server, endpoint: Endpoint): Promise<void> {
  const where = endpoint.kind === 'unix' ? { path: endpoint.path } : address(endpoint)
  try {
    server.listen(where)
    await once(server, 'listening')
  } catch (error) {
    throw convertSystemError(error, `listen on ${endpointText(endpoint)}`)
  }
}

const address = (endpoint: { host: string; port: number }) =>
  endpoint.host === '' ? { port: endpoint.port } : { host: endpoint.host, port: endpoint.port }

const openChannel = (client: SshClient, endpoint: Endpoint, from: Socket) =>
  endpoint.kind === 'unix'
    ? client.openDirectStreamlocal(endpoint.path)
    : client.openDirectTcpip(endpoint.host, endpoint.port, {
        address: from.remoteAddress ?? '127.0.0.1',
        port: from.remotePort ?? 0,
      })

async function splice(a: Duplex, b: Duplex): Promise<void> {
  await Promise.allSettled([pipeline(a, b), pipeline(b, a)])
}

/** Handlers for connections that the node accepted for our -R. Only what was asked for is connected. */
export function remoteHandlers(
  forwards: readonly Forward[],
): Pick<SshClientOptions, 'onForwardedTcpip' | 'onForwardedStreamlocal'> {
  const remotes = forwards.filter((forward) => forward.kind === 'remote')
  const dial = async (endpoint: Endpoint): Promise<Duplex> => {
    const socket =
      endpoint.kind === 'unix' ? createConnection(endpoint.path) : createConnection(endpoint.port, endpoint.host)
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      throw convertSystemError(error, `connect to ${endpointText(endpoint)}`)
    }
  }
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
