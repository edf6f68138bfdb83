/**
 * Programs ask the terminal what it is and where its cursor stands. In a session with several people each of their terminals answers, and
 * all answers but the first would look as if somebody had typed them: only the owner's terminal speaks for the session. Sources: ECMA-48,
 * xterm's "Control Sequences" (device attributes and status, DECRPM, DECRQSS, XTGETTCAP, XTVERSION, window operations, colours).
 */

const ESC = 0x1b

const answers = new RegExp(
  [
    // Device attributes; status; position with a question mark; modes; the keyboard protocol's flags.
    '\\x1b\\[[?>=][0-9;]*(?:c|n|R|\\$y|u)',
    '\\x1b\\[0n',
    // The cursor's position. One row high with a modifier as column is the key F3.
    '\\x1b\\[(?!1;(?:[2-9]|1[0-6])R)[0-9]+;[0-9]+R',
    // Sizes and positions of the window.
    '\\x1b\\[[34689];[0-9]+;[0-9]+t',
    // Settings, capabilities, the terminal's name and unit.
    '\\x1bP(?:[01]\\$r|[01]\\+r|>\\||!\\|)[^\\x1b]*\\x1b\\\\',
    // Colours, and the clipboard, which is nobody's to send but the owner's.
    '\\x1b\\](?:4|5|1[0-9]|52);[^\\x07\\x1b]*(?:\\x07|\\x1b\\\\)',
  ].join('|'),
  'g',
)

/**
 * What somebody who joined has typed, without the answers of their terminal. Terminals write an answer in one piece; one that a network
 * cut in two is not recognised, since whoever presses Escape must not wait for what might follow.
 */
export function withoutAnswers(data: Buffer): Buffer {
  if (!data.includes(ESC)) return data
  const text = data.toString('latin1')
  const typed = text.replace(answers, '')
  return typed.length === text.length ? data : Buffer.from(typed, 'latin1')
}
