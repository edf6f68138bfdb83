/** The three ways of writing a resource, told by two calls of the API. */

import { isAlreadyExists } from '../../../errors/errors.ts'
import type { PutMode } from './types.ts'

/**
 * `create` of the API refuses what exists, before it does anything; so the sentence afterwards is true even when somebody else was
 * faster.
 */
export async function putBy(
  mode: PutMode,
  create: () => Promise<unknown>,
  replace: () => Promise<unknown>,
): Promise<'created' | 'updated'> {
  if (mode !== 'update') {
    try {
      await create()
      return 'created'
    } catch (error) {
      if (mode === 'create' || !isAlreadyExists(error)) throw error
    }
  }
  await replace()
  return 'updated'
}
