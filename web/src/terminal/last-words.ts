/** What is written into a terminal whose session is over, wherever its program had left the cursor. */

import { modesOff } from '../../../src/common/terminal-modes.ts'

/** What a program may have left on is switched off; hidden cursor, colours and scroll region by a soft reset. */
export const asBefore = `${modesOff}\x1b[!p`

/** A line of its own below all that was printed. */
export const lastWords = (said: string): string => `${asBefore}\r\n\x1b[2m── ${printable(said)} ──\x1b[0m\r\n`

/** What the proxy says holds names that others chose. */
const printable = (said: string): string => said.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')
