/** Waiting for a condition, long enough for a busy machine. */

import { expect } from 'vitest'

/** `expect.poll` that gives up after 15 s instead of 1 s. */
export const poll = <T>(look: () => T) => expect.poll(look, { timeout: 15_000 })
