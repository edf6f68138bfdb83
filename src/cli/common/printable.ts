/**
 * Makes text from somewhere else safe for a terminal: a node name or an audit field must not move the cursor, change the
 * title, paste into the clipboard or reorder what the reader sees.
 */

import { stripControl } from '../../common/text.ts'

/** One line without control and direction-changing characters. */
export const printable = stripControl

/** Several lines, for banners and messages of the day: newlines stay, tabs become spaces. */
export const printableLines = (text: string): string =>
  text.replaceAll('\t', '  ').split('\n').map(stripControl).join('\n')
