/** What came with a request, against the schema of its route. */

import type { z } from 'zod'
import { BadParameter } from '../../errors/errors.ts'

/** Throws BadParameter, which names the first field that is wrong. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value ?? {})
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = issue?.path.join('.') ?? ''
  throw new BadParameter(
    where,
    where === '' ? (issue?.message ?? 'bad request') : `${where}: ${issue?.message ?? 'not valid'}`,
  )
}
