/** A file that the caller named: when it is missing or too large, the argument was wrong, and the exit code says so. */

import { BadParameter, isLimitExceeded, isNotFound } from '../../errors/errors.ts'

/** Turns NotFound and LimitExceeded of `reading` into BadParameter with the same message. */
export async function givenFile<T>(param: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    if (isNotFound(error) || isLimitExceeded(error)) throw new BadParameter(param, error.message, { cause: error })
    throw error
  }
}
