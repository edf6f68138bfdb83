/** Keeps the last of the disk free: recordings are refused before logins, settings and the audit log run out of room. */

import { statfs } from 'node:fs/promises'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import { SystemError } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'

/** On a small file system no more than this share of it is kept free. */
const LARGEST_SHARE = 0.05
/** Milliseconds for which an answer of the file system counts. */
const FRESH_MS = 1000

export class Room {
  readonly #directory: string
  readonly #reserveBytes: number
  readonly #env: Pick<Env, 'monotonicMs'>
  readonly #logger: Logger
  #checkedMs = Number.NEGATIVE_INFINITY
  #full: SystemError | undefined
  #looking: Promise<void> | undefined

  constructor(directory: string, reserveBytes: number, env: Pick<Env, 'monotonicMs'>, logger: Logger) {
    this.#directory = directory
    this.#reserveBytes = reserveBytes
    this.#env = env
    this.#logger = logger
  }

  /** Why nothing is taken now; undefined when there is room. */
  get alarm(): string | undefined {
    return this.#full?.message
  }

  /** Throws System `ENOSPC` when only the reserve is left. */
  async check(): Promise<void> {
    if (this.#env.monotonicMs() - this.#checkedMs >= FRESH_MS) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined
      })
      await this.#looking
    }
    if (this.#full !== undefined) throw this.#full
  }

  async #look(): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.#directory).catch((error: unknown) => {
      throw convertSystemError(error, `ask for the free space of ${this.#directory}`)
    })
    this.#checkedMs = this.#env.monotonicMs()
    const free = bavail * bsize
    const reserve = Math.min(this.#reserveBytes, blocks * bsize * LARGEST_SHARE)
    if (free >= reserve) {
      if (this.#full !== undefined) this.#logger.info('recordings are taken again', { free, reserve })
      this.#full = undefined
    } else if (this.#full === undefined) {
      this.#full = new SystemError(
        'ENOSPC',
        `no recordings are taken: less than ${Math.round(reserve / 1024 / 1024)} MiB are free in ${this.#directory} on the auth server, which it keeps for logins and the audit log; free some space`,
      )
      this.#logger.error(this.#full.message, { free, reserve })
    }
  }
}
