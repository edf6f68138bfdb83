/** Waiting for a condition, long enough for a busy machine. */

import { expect } from 'vitest'

/** `expect.poll` that gives up after a minute. */
export const poll = <T>(look: () => T) => expect.poll(look, { timeout: 60_000 })
