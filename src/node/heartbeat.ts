/** Tells the auth service every minute that this node is there, under which addresses and with which labels. */

import { networkInterfaces } from 'node:os'
import type { Labels } from '../access/types.ts'
import type { ApiClient } from '../api/client.ts'
import { heartbeat } from '../api/routes.ts'
import { Backoff } from '../common/backoff.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { messageOf } from '../errors/system.ts'

export interface HeartbeatOptions {
  readonly client: ApiClient
  readonly hostname: string
  address(): string
  readonly publicAddresses: readonly string[]
  labels(): Labels
  readonly version: string
  readonly env: Env
  readonly logger: Logger
  readonly signal: AbortSignal
}

const intervalMs = 60_000
const checkMs = 1000
/** Beyond it certificates are refused here or there. */
const skewMs = 30_000

/** Runs until the signal. A thousand nodes that start together spread over the minute; a label that changed is told within seconds. */
export async function runHeartbeat(options: HeartbeatOptions): Promise<void> {
  const { env, logger, signal } = options
  const backoff = new Backoff({ initialMs: 1000, maxMs: 30_000 }, env)
  let failing = false
  while (!signal.aborted) {
    const sent = JSON.stringify(options.labels())
    try {
      await beat(options)
      if (failing) logger.info('the auth service hears this node again')
      failing = false
      backoff.reset()
      await waitForNext(options, sent)
    } catch (error) {
      if (signal.aborted) return
      if (!failing) logger.warn('the auth service cannot be told that this node is alive', { reason: messageOf(error) })
      failing = true
      await backoff.wait(signal).catch(() => {})
    }
  }
}

async function beat(options: HeartbeatOptions): Promise<void> {
  const { client, env, logger, signal } = options
  const answer = await client.call(
    heartbeat,
    {
      body: {
        hostname: options.hostname,
        address: options.address(),
        publicAddresses: [...options.publicAddresses],
        labels: { ...options.labels() },
        version: options.version,
      },
    },
    signal,
  )
  const skew = Date.parse(answer.time) - env.now().getTime()
  if (Math.abs(skew) > skewMs) {
    logger.warn('the clocks of this node and of the auth service differ; certificates may be refused', {
      seconds: Math.round(skew / 1000),
    })
  }
}

async function waitForNext(options: HeartbeatOptions, sent: string): Promise<void> {
  const { env, signal } = options
  // Between 0.9 and 1.1 of the interval, so that nodes drift apart.
  const wait = intervalMs * (0.9 + (0.2 * env.randomBytes(2).readUInt16BE()) / 65_536)
  const until = env.monotonicMs() + wait
  for (let left = wait; left > 0; left = until - env.monotonicMs()) {
    await env.sleep(Math.min(left, checkMs), signal)
    if (JSON.stringify(options.labels()) !== sent) return
  }
}

/** `host:port` for others: the advertised address, or the one listened on, or the first that is not loopback. */
export function advertisedAddress(
  listen: { readonly host: string; readonly port: number },
  advertise?: { readonly host: string; readonly port?: number },
): string {
  const wildcard = listen.host === '' || listen.host === '0.0.0.0' || listen.host === '::'
  const host = advertise?.host ?? (wildcard ? firstAddress() : listen.host)
  const port = advertise?.port ?? listen.port
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const outside = all.filter(({ internal }) => !internal)
  return (outside.find(({ family }) => family === 'IPv4') ?? outside[0])?.address ?? '127.0.0.1'
}
