/**
 * Replaces the keys of the authorities, step by step, by hand or by itself (docs/decisions/ca-rotation.md). The state is the record in
 * the store and nothing else: every step is one compare-and-swap, so a kill at any moment leaves the phase before or the one after,
 * and of two that rotate at once one wins.
 */

import type { Caller } from '../api/caller.ts'
import type { Authority } from '../api/model.ts'
import type { RotationReport, Straggler } from '../api/rotation-routes.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { BadParameter, CompareFailed, isCompareFailed, type KindError, NotFound } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { Audit } from './audit.ts'
import { type Authorities, type AuthorityType, authorityTypes, newAuthorityKey } from './authorities.ts'
import type { Hub } from './hub.ts'
import type { Found, StoredAuthority, Tables } from './records.ts'
import { nextByItself, type Phase, phaseOf, type Step, type StepResult, takeStep } from './rotation-phases.ts'
import { stragglersOf } from './stragglers.ts'

export interface RotationOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly audit: Audit
  readonly authorities: Authorities
  readonly hub: Hub
  readonly env: Env
  readonly logger: Logger
}

export interface RotationRequest {
  readonly type?: AuthorityType | undefined
  readonly mode: 'auto' | 'manual'
  readonly phase: Phase
  readonly gracePeriodSeconds?: number | undefined
  readonly force: boolean
}

/** Seconds. Source: Teleport 7, the longest life of a user certificate. */
const defaultGracePeriod = 30 * 3600
const maxListed = 100
/** Milliseconds. */
const longestSleep = 30_000
const retryAfter = 5_000
const hubTimeout = 5_000
/** A service that was away gives machines this long to come back before it ends a rotation. */
const graceAtStart = 10 * 60_000

export class Rotation {
  readonly #options: RotationOptions
  readonly #started: number
  readonly #closing = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #wake: (() => void) | undefined
  #waitingSaid = ''

  constructor(options: RotationOptions) {
    this.#options = options
    this.#started = options.env.monotonicMs()
    options.authorities.onChange(() => this.#wake?.())
  }

  /** Begins to take the steps of the automatic mode. */
  start(): void {
    this.#running = this.#keepWalking()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  report(): RotationReport {
    const { authorities } = this.#options
    return this.#report(authorityTypes.map((type) => authorities.public(type)))
  }

  #report(authorities: readonly Authority[]): RotationReport {
    const waitingFor = this.#stragglers(authorities)
    return {
      authorities: [...authorities],
      waitingFor: waitingFor.slice(0, maxListed),
      waitingForCount: waitingFor.length,
    }
  }

  #stragglers(authorities: readonly Authority[]): readonly Straggler[] {
    const { hub, env } = this.#options
    return stragglersOf(authorities, hub.snapshot.servers.list(undefined, env.now().getTime()))
  }

  /** One step, as somebody asked for it. Throws BadParameter when it cannot be taken now, CompareFailed when another one was faster. */
  async rotate(caller: Caller, request: RotationRequest): Promise<RotationReport> {
    const types = request.type === undefined ? authorityTypes : [request.type]
    const gracePeriod = request.gracePeriodSeconds ?? defaultGracePeriod
    if (request.mode === 'manual' && request.gracePeriodSeconds !== undefined) {
      throw new BadParameter(
        'gracePeriodSeconds',
        'a grace period is for the automatic mode; by hand a phase lasts until the next one is asked for',
      )
    }
    if (request.mode === 'auto' && request.phase !== 'init' && request.phase !== 'rollback') {
      throw new BadParameter(
        'phase',
        `in automatic mode the phases come by themselves; to go to ${request.phase} now, take over by hand: --manual --phase=${request.phase}`,
      )
    }
    const step = { phase: request.phase, mode: request.mode, gracePeriod }
    await this.#step(caller.name, types, step, request.force)
    return this.report()
  }

  async #step(user: string, types: readonly AuthorityType[], step: Step, force: boolean): Promise<void> {
    const { backend, tables, audit, authorities, logger } = this.#options
    const found = await Promise.all(types.map((type) => this.#find(type)))
    const about = {
      event: 'ca.rotate' as const,
      user,
      authorities: types.map(String),
      phase: step.phase,
      previous_phase: [...new Set(found.map(({ value }) => phaseOf(value)))].join(','),
      mode: step.mode,
      ...(step.phase === 'init' ? { grace_period_seconds: step.gracePeriod } : {}),
    }
    const fail = async (error: KindError): Promise<never> => {
      await audit.emit({ ...about, success: false, error: error.message })
      throw error
    }
    const results = found.map(({ value }) => this.#take(value, step))
    const refused = results.find((result) => !result.ok)
    if (refused !== undefined && !refused.ok) return fail(new BadParameter('phase', refused.reason))
    const records = results.flatMap((result) => (result.ok ? [result.record] : []))
    const left = step.phase === 'standby' ? this.#stragglers(types.map((type) => authorities.public(type))) : []
    if (left.length > 0 && !force) return fail(new BadParameter('force', refusalFor(left)))
    // Before the step: what is not in the log does not happen.
    await audit.emit({
      ...about,
      success: true,
      keys: records.flatMap((record) => [record.rotation?.key.publicKey ?? record.key.publicKey]),
      ...(left.length === 0
        ? {}
        : { left_behind: left.slice(0, maxListed).map(({ uuid, role }) => `${role}/${uuid}`) }),
    })
    try {
      await backend.commit(
        found.flatMap((one, index) => {
          const record = records[index]
          return record === undefined ? [] : [tables.authorities.unchanged(one), tables.authorities.put(one.id, record)]
        }),
      )
    } catch (error) {
      if (!isCompareFailed(error)) throw error
      const message = `somebody else rotated the ${types.join(' and ')} authority at the same time; look at tctl status, then try again`
      return fail(new CompareFailed(message, { cause: error }))
    }
    logger.info('the authorities went to another phase', { authorities: types, phase: step.phase, by: user })
    await authorities.refresh()
    await this.#heard(types)
  }

  async #find(type: AuthorityType): Promise<Found<StoredAuthority>> {
    const found = await this.#options.tables.authorities.find(type)
    if (found === undefined) throw new NotFound(`there is no ${type} authority`)
    return found
  }

  #take(record: StoredAuthority, step: Step): StepResult {
    const { env } = this.#options
    return takeStep(record, step, {
      id: env.randomUuid(),
      now: env.now(),
      makeKey: () => newAuthorityKey(record.type, env),
    })
  }

  /** Resolves when this service itself trusts what the store says: whoever asked for the step may rely on it. */
  async #heard(types: readonly AuthorityType[]): Promise<void> {
    const { hub, authorities, env, logger } = this.#options
    const same = () =>
      types.every((type) => {
        const known = hub.snapshot.authorities.get(type)
        return known !== undefined && JSON.stringify(known.keys) === JSON.stringify(authorities.public(type).keys)
      })
    const until = env.monotonicMs() + hubTimeout
    while (!same() && env.monotonicMs() < until) await hub.changed(until - env.monotonicMs())
    if (!same()) logger.error('the change of the authorities was written, but is not in use yet')
  }

  // ---- by itself ----

  async #keepWalking(): Promise<void> {
    const { env, logger } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted) {
      const woken = new AbortController()
      this.#wake = () => woken.abort()
      let wait = longestSleep
      try {
        wait = await this.#walk()
      } catch (error) {
        if (signal.aborted) return
        logger.error('the rotation of the authorities cannot go on', { reason: messageOf(error) })
        wait = retryAfter
      }
      await env.sleep(wait, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
    }
  }

  /** Takes what is due, authorities of the same phase together. Returns the milliseconds until the next look. */
  async #walk(): Promise<number> {
    const { env, authorities } = this.#options
    const now = env.now().getTime()
    let wait = longestSleep
    const due = new Map<Phase, AuthorityType[]>()
    for (const type of authorityTypes) {
      const next = nextByItself(authorities.stored(type))
      if (next === undefined) continue
      const left = this.#dueAt(type, next) - now
      if (left > 0) wait = Math.min(wait, left)
      else due.set(next.phase, [...(due.get(next.phase) ?? []), type])
    }
    for (const [phase, types] of due) {
      const gracePeriod = defaultGracePeriod
      try {
        await this.#step('system', types, { phase, mode: 'auto', gracePeriod }, true)
      } catch (error) {
        if (!isCompareFailed(error)) throw error
        // Somebody else took a step. What there is to do now is seen with the next look.
        await authorities.refresh()
      }
      wait = 0
    }
    return wait
  }

  /**
   * The end is put off while machines are there that would be locked out, but by no more than one more share: whoever holds the old
   * key must not be able to keep it trusted by posing as a machine that is slow.
   */
  #dueAt(type: AuthorityType, next: { readonly phase: Phase; readonly at: Date }): number {
    const { env, authorities, logger } = this.#options
    const at = next.at.getTime()
    const { rotation } = authorities.stored(type)
    if (next.phase !== 'standby' || rotation === undefined) return at
    const share = (rotation.gracePeriod * 1000) / 3
    const up = env.monotonicMs() - this.#started
    const now = env.now().getTime()
    const afterStart = now + Math.min(share, graceAtStart) - up
    if (now < at) return at
    const left = this.#stragglers([authorities.public(type)])
    if (left.length === 0 || now >= at + share) return Math.max(at, afterStart)
    const said = left.map(({ uuid }) => uuid).join()
    if (said !== this.#waitingSaid) {
      const machines = left.slice(0, 10).map(({ role, hostname, reason }) => `${role} ${hostname}: ${reason}`)
      logger.warn('the end of the rotation waits for machines', { machines, until: new Date(at + share).toISOString() })
    }
    this.#waitingSaid = said
    return Math.min(at + share, now + 1_000)
  }
}

function refusalFor(left: readonly Straggler[]): string {
  const shown = left
    .slice(0, 10)
    .map(({ role, hostname, uuid, reason }) => `${role} ${JSON.stringify(hostname)} (${uuid}): ${reason}`)
  const more = left.length > shown.length ? `; and ${left.length - shown.length} more` : ''
  const remedy =
    'wait until they have followed (tctl status lists them), or add --force: then they must join again with a token'
  return `machines would be locked out: ${shown.join('; ')}${more}. ${remedy}`
}
