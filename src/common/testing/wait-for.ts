/** Waiting for a condition, long enough for a busy machine. */

import { vi } from 'vitest'

/** Asks again until it throws no more; after a minute with what it threw. `vi.waitFor` alone gives up after a second. */
export const waitFor = <T>(look: () => T | Promise<T>): Promise<T> => vi.waitFor(look, 60_000)
