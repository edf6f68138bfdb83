/** Keeps the last of the disk free: recordings are refused before logins, settings and the audit log run out of room. */

import { statfs } from 'node:fs/promises'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import { SystemError } from '../../errors/errors.ts'
import { convertSystemError, messageOf } from '../../errors/system.ts'

/** On a small file system no more than this share of it is kept free. */
const LARGEST_SHARE = 0.05
/** Milliseconds for which an answer of the file system counts. */
const FRESH_MS = 1000

/** Bytes: what is free for us, and the size of the file system. */
export type FreeSpace = (directory: string) => Promise<{ readonly free: number; readonly total: number }>

const askFileSystem: FreeSpace = async (directory) => {
  const { bavail, blocks, bsize } = await statfs(directory)
  return { free: bavail * bsize, total: blocks * bsize }
}

export class Room {
  readonly #directory: string
  readonly #reserveBytes: number
  readonly #env: Pick<Env, 'monotonicMs'>
  readonly #logger: Logger
  readonly #ask: FreeSpace
  #checkedMs = Number.NEGATIVE_INFINITY
  #full: SystemError | undefined
  #looking: Promise<void> | undefined

  constructor(options: {
    readonly directory: string
    readonly reserveBytes: number
    readonly env: Pick<Env, 'monotonicMs'>
    readonly logger: Logger
    readonly freeSpace?: FreeSpace | undefined
  }) {
    this.#directory = options.directory
    this.#reserveBytes = options.reserveBytes
    this.#env = options.env
    this.#logger = options.logger
    this.#ask = options.freeSpace ?? askFileSystem
  }

  /** Why nothing is taken now; undefined when there is room. */
  async alarm(): Promise<string | undefined> {
    try {
      await this.#lookAgain()
    } catch (error) {
      return messageOf(error)
    }
    return this.#full?.message
  }

  /** Throws System `ENOSPC` when only the reserve is left. */
  async check(): Promise<void> {
    await this.#lookAgain()
    if (this.#full !== undefined) throw this.#full
  }

  async #lookAgain(): Promise<void> {
    if (this.#env.monotonicMs() - this.#checkedMs >= FRESH_MS) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined
      })
      await this.#looking
    }
  }

  async #look(): Promise<void> {
    const { free, total } = await this.#ask(this.#directory).catch((error: unknown) => {
      throw convertSystemError(error, `ask for the free space of ${this.#directory}`)
    })
    this.#checkedMs = this.#env.monotonicMs()
    const reserve = Math.min(this.#reserveBytes, total * LARGEST_SHARE)
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
