/** What is written into a terminal whose session is over, wherever its program had left the cursor. */

/**
 * What a program may have left on: the other screen, mouse reports, focus reports, bracketed paste; the rest by a soft reset. The cursor
 * is saved first, because leaving the other screen brings back a saved one even when that screen is not shown.
 */
export const leftOn = `\x1b7${['1049', '1000', '1002', '1003', '1006', '1004', '2004'].map((mode) => `\x1b[?${mode}l`).join('')}\x1b[!p`

/** A line of its own below all that was printed. */
export const lastWords = (said: string): string => `${leftOn}\r\n\x1b[2m── ${printable(said)} ──\x1b[0m\r\n`

/** What the proxy says holds names that others chose. */
const printable = (said: string): string => said.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')
