/** What several routes ask for. */

import { z } from 'zod'

export const name = z.string().min(1).max(256)
export const byName = z.strictObject({ name })
/** What a login begins with. */
export const named = { user: name, password: z.string().max(1024) }
/** An OpenSSH public key line. RSA keys of 16,384 bits fit. */
export const publicKeyLine = z.string().max(8192)
/** As long as the certificate of a host lives: ten years. */
export const ttlSeconds = z.number().int().positive().max(315_360_000)
