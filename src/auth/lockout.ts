/** Locks an account after repeated failures. A name that does not exist is locked like one that does, so nobody learns which is which. */

import { createHash } from 'node:crypto'
import type { Backend } from '../backend/contract.ts'
import { describeDuration } from '../common/durations.ts'
import type { Env } from '../common/env.ts'
import { LimitExceeded } from '../errors/errors.ts'
import type { Tables } from './records.ts'
import type { AuthSettings } from './settings.ts'

export class Lockout {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #limits: AuthSettings['lockout']
  readonly #env: Env

  constructor(backend: Backend, tables: Tables, limits: AuthSettings['lockout'], env: Env) {
    this.#backend = backend
    this.#tables = tables
    this.#limits = limits
    this.#env = env
  }

  /** Throws LimitExceeded while the account is locked. */
  async check(user: string): Promise<void> {
    const found = await this.#tables.attempts.find(idOf(user))
    const left = (found?.value.lockedUntil ?? 0) - this.#env.now().getTime()
    if (left > 0) {
      throw new LimitExceeded(
        `too many failed logins of this user; try again in ${describeDuration(Math.ceil(left / 60_000) * 60_000)}`,
      )
    }
  }

  /** Counts a failure; the last allowed one locks. */
  async failed(user: string): Promise<void> {
    const now = this.#env.now().getTime()
    const { failures: limit, windowMs, lockMs } = this.#limits
    const found = await this.#tables.attempts.find(idOf(user))
    const recent = [...(found?.value.failures ?? []).filter((at) => at > now - windowMs), now]
    const record = recent.length >= limit ? { failures: [], lockedUntil: now + lockMs } : { failures: recent }
    const expires = new Date(now + Math.max(windowMs, lockMs))
    await this.#backend.put(this.#tables.attempts.item(idOf(user), record, expires))
  }

  /** Forgets earlier failures, after a login or a reset. */
  async clear(user: string): Promise<void> {
    if ((await this.#tables.attempts.find(idOf(user))) === undefined) return
    await this.#backend.deleteRange(this.#tables.attempts.key(idOf(user)))
  }
}

/** Names of any length and content become keys of one form. */
const idOf = (user: string): string => createHash('sha256').update(user).digest('hex')
