/** Proofs of somebody who is logged in: limited and locked as passwords are, one at a time for a user, and in the audit log, good or bad. */

import type { Caller } from '../../api/caller.ts'
import type { MfaAction, Proof } from '../../api/mfa-model.ts'
import type { Env } from '../../common/env.ts'
import { RateLimiter } from '../../common/limiter.ts'
import { AccessDenied, isLimitExceeded } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { Audit } from '../audit.ts'
import type { Lockout } from '../lockout.ts'
import { KeyedQueue } from '../queue.ts'
import type { Factors, ProvenBy, Verdict } from './factors.ts'

/** Failures from one address: as of logins. */
const failureRate = { burst: 20, perSecond: 1 / 3 }
/** Proofs of one user that wait for each other, so that parallel guesses count one by one. */
const waitingPerUser = 32

export interface ProverOptions {
  readonly factors: Factors
  readonly lockout: Lockout
  readonly audit: Audit
  readonly env: Env
}

type Outcome = { readonly ok: true; readonly by?: ProvenBy } | Extract<Verdict, { ok: false }>

export class Prover {
  readonly #options: ProverOptions
  readonly #failures: RateLimiter
  readonly #queues = new KeyedQueue(waitingPerUser)

  constructor(options: ProverOptions) {
    this.#options = options
    this.#failures = new RateLimiter(failureRate, options.env)
  }

  /** Throws AccessDenied for a proof that is not good, LimitExceeded when there were too many of those. */
  async require(caller: Caller, action: MfaAction, proof: Proof): Promise<ProvenBy> {
    const verdict = await this.guard(caller, action, () => this.#options.factors.prove(caller.name, action, proof))
    if (verdict.by === undefined) throw new AccessDenied('access denied: no second factor')
    return verdict.by
  }

  /** The same for a check of another kind. */
  guard(caller: Caller, action: MfaAction, check: () => Promise<Outcome>): Promise<Extract<Outcome, { ok: true }>> {
    return this.#queues.run(caller.name, () => this.#guard(caller, action, check))
  }

  async #guard(caller: Caller, action: MfaAction, check: () => Promise<Outcome>) {
    const { lockout, audit } = this.#options
    const { name: user, address } = caller
    // Locks of its own: whoever spoils a user's logins with wrong passwords does not end their sessions' proofs too.
    const account = `second factor of ${user}`
    const record = (outcome: Outcome) =>
      audit.emit({
        event: 'mfa_auth_challenge.validate',
        user,
        purpose: action.kind,
        'addr.remote': address,
        ...(outcome.ok ? { success: true, ...describeProof(outcome.by) } : { success: false, error: outcome.why }),
      })
    try {
      this.#failures.check(address, 'failed proofs of a second factor from this address')
      await lockout.check(account)
    } catch (error) {
      if (isLimitExceeded(error)) await record({ ok: false, why: messageOf(error) })
      throw error
    }
    const outcome = await check()
    if (!outcome.ok) {
      await lockout.failed(account)
      await record(outcome)
      throw new AccessDenied(`access denied: ${outcome.why}`)
    }
    if (outcome.by?.method === 'recovery_code') {
      const left = outcome.by.codesLeft ?? 0
      await audit.emit({
        event: 'recovery_code.used',
        user,
        success: true,
        recovery_codes_left: left,
        'addr.remote': address,
      })
    }
    await record(outcome)
    this.#failures.reset(address)
    await lockout.clear(account)
    return outcome
  }
}

/** For events. */
export const describeProof = (by: ProvenBy | undefined) =>
  by === undefined
    ? {}
    : {
        mfa_method: by.method,
        ...(by.device === undefined
          ? {}
          : { mfa_device_name: by.device.name, mfa_device_uuid: by.device.id, mfa_device_type: by.device.kind }),
        ...(by.codesLeft === undefined ? {} : { recovery_codes_left: by.codesLeft }),
      }
