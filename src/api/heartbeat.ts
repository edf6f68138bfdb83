/** Tells the auth service every minute that this machine is there, under which addresses and with which labels. */

import { Backoff } from '../common/backoff.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { messageOf } from '../errors/system.ts'
import { fingerprintSha256 } from '../ssh/keys/public-key.ts'
import type { ApiClient, CallInput } from './client.ts'
import { clockWatch } from './clock-skew.ts'
import type { MachineIdentity } from './identity.ts'
import { heartbeat } from './routes.ts'

type PresenceReport = Omit<CallInput<typeof heartbeat>['body'], 'trusts'>

export interface HeartbeatOptions {
  readonly client: Pick<ApiClient, 'call'>
  presence(): PresenceReport
  /** Auth shows who has not followed a rotation of the authorities. */
  identity(): MachineIdentity
  readonly env: Env
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** All in milliseconds. */
const interval = 60_000
/** How often to look whether there is something new to tell, such as a label. */
const lookInterval = 1_000

/** Runs until the signal. A thousand machines that start together spread over the minute; what changed is told within seconds. */
export async function runHeartbeat(options: HeartbeatOptions): Promise<void> {
  const { env, logger, signal } = options
  const backoff = new Backoff({ initialMs: 1_000, maxMs: 30_000 }, env)
  const watchClock = clockWatch(logger)
  let failing = false
  while (!signal.aborted) {
    try {
      const told = { presence: options.presence(), identity: options.identity() }
      const body = { ...told.presence, trusts: trustsOf(told.identity) }
      const { time } = await options.client.call(heartbeat, { body }, signal)
      watchClock(Date.parse(time) - env.now().getTime())
      if (failing) logger.info('the auth service hears this machine again')
      failing = false
      backoff.reset()
      await waitForNext(options, JSON.stringify(told.presence), told.identity)
    } catch (error) {
      if (signal.aborted) return
      if (!failing) logger.warn('the auth service does not hear of this machine', { reason: messageOf(error) })
      failing = true
      await backoff.wait(signal).catch(() => {})
    }
  }
}

async function waitForNext(
  { presence, identity, env, signal }: HeartbeatOptions,
  told: string,
  known: MachineIdentity,
): Promise<void> {
  // Between 0.9 and 1.1 of the interval, so that machines drift apart.
  const wait = interval * (0.9 + (0.2 * env.randomBytes(2).readUInt16BE()) / 65_536)
  const until = env.monotonicMs() + wait
  for (let left = wait; left > 0; left = until - env.monotonicMs()) {
    await env.sleep(Math.min(left, lookInterval), signal)
    if (identity() !== known || JSON.stringify(presence()) !== told) return
  }
}

const trustsOf = ({ hostAuthorities, userAuthorities }: MachineIdentity): string[] =>
  [...hostAuthorities, ...userAuthorities].map(fingerprintSha256)
