/**
 * Makes text from somewhere else safe for a terminal: a node name or an audit field must not move the cursor, change the
 * title, paste into the clipboard or reorder what the reader sees.
 */

const controls = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu
const controlsExceptLines = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu

/** One line: every control and direction-changing character becomes `?`. */
export const printable = (text: string): string => text.replace(controls, '?')

/** Several lines, for banners and messages of the day: newlines and tabs stay. */
export const printableLines = (text: string): string => text.replaceAll('\r\n', '\n').replace(controlsExceptLines, '?')
