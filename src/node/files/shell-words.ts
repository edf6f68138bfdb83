/**
 * The words of a simple command, as a shell splits and unquotes them. Nothing is expanded: this only recognises programs that copy
 * files, whose commands are written by other programs. The command ends where a shell's would.
 */

const blank = /[ \t]/
const ends = /[\n;|&<>()`]/

export function shellWords(command: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  for (let at = 0; at < command.length; at++) {
    const char = command.charAt(at)
    if (blank.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (ends.test(char)) break
    else if (char === "'") {
      const end = command.indexOf("'", at + 1)
      word = (word ?? '') + command.slice(at + 1, end < 0 ? undefined : end)
      at = end < 0 ? command.length : end
    } else if (char === '"') {
      const { text, end } = doubleQuoted(command, at + 1)
      word = (word ?? '') + text
      at = end
    } else if (char === '\\') {
      at++
      word = (word ?? '') + command.charAt(at)
    } else word = (word ?? '') + char
  }
  if (word !== undefined) words.push(word)
  return words
}

/** `end`: of the closing quote. */
function doubleQuoted(command: string, start: number): { readonly text: string; readonly end: number } {
  let text = ''
  let at = start
  for (; at < command.length && command.charAt(at) !== '"'; at++) {
    if (command.charAt(at) === '\\' && /["\\$`]/.test(command.charAt(at + 1))) at++
    text += command.charAt(at)
  }
  return { text, end: at }
}
