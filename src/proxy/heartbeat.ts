/** Tells the auth service every minute that this proxy is there, and under which addresses. */

import type { ApiClient, CallInput } from '../api/client.ts'
import { heartbeat } from '../api/routes.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { messageOf } from '../errors/system.ts'

export interface HeartbeatOptions {
  readonly client: Pick<ApiClient, 'call'>
  presence(): CallInput<typeof heartbeat>['body']
  readonly env: Env
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** Milliseconds. After a failure sooner, so that a cluster that starts up knows itself quickly. */
const every = 60_000
const afterFailure = 2_000
/** Beyond this difference certificates begin to look expired, or not yet valid. */
const worryingSkew = 30_000

/** Runs until the signal; a failure is told once and tried again. */
export async function keepPresence(options: HeartbeatOptions): Promise<void> {
  const { client, env, logger, signal } = options
  let failing = false
  while (!signal.aborted) {
    let pause = every
    try {
      const answer = await client.call(heartbeat, { body: options.presence() }, signal)
      if (failing) logger.info('the auth service hears of this proxy again')
      failing = false
      const skew = Math.abs(Date.parse(answer.time) - env.now().getTime())
      if (skew > worryingSkew) {
        logger.warn('the clocks of this machine and of the auth server differ; set both by NTP', { milliseconds: skew })
      }
    } catch (error) {
      if (signal.aborted) return
      if (!failing) logger.warn('the auth service does not hear of this proxy', { error: messageOf(error) })
      failing = true
      pause = afterFailure
    }
    // A tenth of spread, so that a hundred machines do not come at once.
    const spread = (env.randomBytes(2).readUInt16BE() / 0xffff) * (pause / 10)
    await env.sleep(pause - spread, signal).catch(() => undefined)
  }
}
