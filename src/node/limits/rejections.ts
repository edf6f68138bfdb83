/** Refusals because of a limit of the roles, for the audit log. */

import { RateLimiter } from '../../common/limiter.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import { connectionFields, record } from '../node-events.ts'

/** Records of one user: a client that tries for ever is no news. */
const rate = { burst: 20, perSecond: 0.2 }

export class Rejections {
  readonly #node: NodeContext
  readonly #limiter: RateLimiter

  constructor(node: NodeContext) {
    this.#node = node
    this.#limiter = new RateLimiter(rate, node.env)
  }

  record(connection: NodeConnection, reason: string, maximum: number): void {
    const { user } = connection.identity.identity
    if (!this.#limiter.take(user)) return
    const fields = connectionFields(this.#node, connection)
    record(this.#node, { event: 'session.rejected', ...fields, reason, maximum })
  }
}
