/** Tokens that open something: made long enough that nobody guesses them, and kept only as hashes. */

import { createHash } from 'node:crypto'
import type { Env } from '../common/env.ts'

/** Bytes: 128 bits. */
const tokenBytes = 16
/** Characters of a token that listings show: 24 bits, which leaves 104 to guess. */
const shownLength = 6

/** 32 hexadecimal digits. */
export const newToken = (env: Env): string => env.randomBytes(tokenBytes).toString('hex')

/**
 * The key under which a token is stored. A look-up by hash takes the same time however many characters of a guess are right, and
 * what is stored opens nothing.
 */
export const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex')

/** The beginning of a token and an ellipsis. */
export const abbreviate = (token: string): string => `${token.slice(0, shownLength)}…`
