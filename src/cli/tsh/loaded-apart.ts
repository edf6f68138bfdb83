/** The short ways of `tsh` load rare parts from bundles of their own, in which every class exists once more. */

import { KindError } from '../../errors/errors.ts'
import { errorFromJson } from '../../errors/json.ts'

/** The same result; an error comes out as one of our classes, which is how its kind is told. */
export async function fromApart<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof KindError || !(error instanceof Error) || !('kind' in error)) throw error
    const { kind, message } = error
    throw errorFromJson({ error: { kind, message } }, 500)
  }
}
