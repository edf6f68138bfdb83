/**
 * Why a login is good for nothing any more, as this proxy knows it. Auth, the node and the proxy each end what a lock shuts out, and
 * not all of them with the reason: whoever is first, the page is told the words of the lock.
 */

import type { AccessGuard } from '../../api/access-guard.ts'
import { authenticateUser } from '../../api/authenticate-user.ts'
import type { ClusterState } from '../../api/cluster-state.ts'
import type { Env } from '../../common/env.ts'
import type { Certificate } from '../../ssh/certificate/types.ts'

export interface WhyOverOptions {
  readonly state: ClusterState
  readonly guard: AccessGuard
  readonly env: Env
}

/** Whose login it is, and where it is used. */
export interface Watched {
  readonly certificate: Certificate
  readonly sourceAddress: string
  /** What the server is called. */
  readonly node: readonly string[]
}

/** Milliseconds in which this proxy hears of what others have acted upon already. */
const newsTime = 1_000

export class WhyOver {
  readonly #env: Env
  readonly #heard = Promise.withResolvers<string>()
  readonly #unguard: () => void
  #known: string | undefined

  constructor({ state, guard, env }: WhyOverOptions, { certificate, sourceAddress, node }: Watched) {
    this.#env = env
    this.#unguard = guard.add({
      user: certificate.keyId,
      judge() {
        const verdict = authenticateUser(state, {
          // Whether it is one of the user's is judged by the server.
          login: undefined,
          ...{ certificate, sourceAddress, node, now: env.now(), isOpen: true },
        })
        return verdict.ok ? undefined : verdict.reason
      },
      end: (reason) => {
        this.#known = reason
        this.#heard.resolve(reason)
      },
    })
  }

  get known(): string | undefined {
    return this.#known
  }

  /** For one whose login has just ended: the reason, or `otherwise` when none is heard of. */
  async words(otherwise: string): Promise<string> {
    const over = new AbortController()
    const late = this.#env.sleep(newsTime, over.signal).then(
      () => otherwise,
      () => otherwise,
    )
    try {
      return await Promise.race([this.#heard.promise, late])
    } finally {
      over.abort()
    }
  }

  close(): void {
    this.#unguard()
  }
}
