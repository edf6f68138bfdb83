/** Listings come in pages: how one is asked for, and its shape. */

import { z } from 'zod'

export const page = {
  limit: z.coerce.number().int().min(1).max(1000).default(1000),
  after: z.string().max(1024).optional(),
}
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), next: z.string().optional() })
