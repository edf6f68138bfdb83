/** Who changed what last, so that the second of two editors reads with whom to talk. */

import type { Caller } from '../api/caller.ts'
import type { Operation } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { quote } from '../common/text.ts'
import { CompareFailed } from '../errors/errors.ts'
import type { Tables } from './records.ts'

/** Milliseconds. Whoever has had a resource open for longer learns no name. */
const keptFor = 30 * 24 * 3_600_000

export class Changes {
  readonly #tables: Tables
  readonly #env: Env

  constructor(tables: Tables, env: Env) {
    this.#tables = tables
    this.#env = env
  }

  /** Belongs in the commit that changes or removes the resource. */
  mark(caller: Caller, kind: string, name: string): Operation {
    const now = this.#env.now()
    const change = { by: caller.name, time: now.toISOString() }
    return this.#tables.changes.put(`${kind}/${name}`, change, new Date(now.getTime() + keptFor))
  }

  /** For whoever has an old revision; also of what is not there any more. */
  async conflict(kind: string, name: string): Promise<CompareFailed> {
    const last = await this.#tables.changes.find(`${kind}/${name}`)
    const by = last === undefined ? '' : ` by ${quote(last.value.by)} at ${last.value.time}`
    return new CompareFailed(
      `${name === '' ? kind : `${kind} ${quote(name)}`} was changed meanwhile${by}; get it again and repeat your change, nothing was overwritten`,
    )
  }
}
