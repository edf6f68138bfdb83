/**
 * Questions to the person at the terminal, passwords without echo. When standard input is not a terminal, answers are read from
 * it, a line each, for automation.
 */

import { openSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { AccessDenied, BadParameter, isBadParameter } from '../../errors/errors.ts'

/** Characters of one answer. */
const maxAnswer = 4096

/** Standard input as lines, read only as far as there are questions. */
let lines: AsyncIterator<string> | undefined

async function* readLines(): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    const parts = (rest + chunk).split(/\r?\n/)
    rest = parts.pop() ?? ''
    if (rest.length > maxAnswer) throw new BadParameter('stdin', 'a line on standard input is too long')
    yield* parts
  }
  if (rest !== '') yield rest
}

async function nextPiped(question: string, optional: boolean): Promise<string> {
  process.stderr.write(`${question}\n`)
  lines ??= readLines()
  const { value, done } = await lines.next()
  const line = done === true ? '' : value
  if (line === '' && !optional) throw new BadParameter('stdin', `no answer on standard input for: ${question}`)
  return line
}

export interface AskOptions {
  /** Nothing of the answer is shown. */
  readonly hidden: boolean
  /** No answer at all is an answer when there is no terminal to ask. */
  readonly optional?: boolean
}

/** Throws AccessDenied when the person presses Ctrl-C or Ctrl-D, BadParameter when standard input has no more lines. */
export async function ask(question: string, options: AskOptions): Promise<string> {
  const piping = () => nextPiped(question.trim(), options.optional ?? false)
  if (!process.stdin.isTTY) return await piping()
  const terminal = openTerminal()
  if (terminal === undefined) return await piping()
  try {
    return await readAnswer(terminal, question, options.hidden)
  } finally {
    terminal.setRawMode(false)
    terminal.destroy()
  }
}

/** Tries that a person has in all. */
const tries = 3

/** What `read` makes of the answer. After its BadParameter a person is asked again, a program is not. Throws what `ask` throws, too. */
export async function askFor<T>(question: string, options: AskOptions, read: (answer: string) => T): Promise<T> {
  for (let left = tries; ; left--) {
    const answer = await ask(question, options)
    try {
      return read(answer)
    } catch (error) {
      if (left <= 1 || !process.stdin.isTTY || !isBadParameter(error)) throw error
      process.stderr.write(`${error.message}. Try again.\n`)
    }
  }
}

function openTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync('/dev/tty', 'r'))
  } catch {
    return undefined
  }
}

function readAnswer(terminal: ReadStream, question: string, hidden: boolean): Promise<string> {
  process.stderr.write(question)
  terminal.setRawMode(true)
  return new Promise((resolve, reject) => {
    let answer = ''
    const done = (finish: () => void) => {
      terminal.off('data', onData)
      process.stderr.write('\n')
      finish()
    }
    const onData = (chunk: Buffer) => {
      for (const char of chunk.toString('utf8')) {
        if (char === '\r' || char === '\n') return done(() => resolve(answer))
        if (char === '\u0003' || (char === '\u0004' && answer === '')) {
          return done(() => reject(new AccessDenied('given up at the prompt')))
        }
        if (char === '\u007f' || char === '\b') {
          if (!hidden && answer !== '') process.stderr.write('\b \b')
          answer = [...answer].slice(0, -1).join('')
        } else if (char === '\u0015') {
          if (!hidden) process.stderr.write('\b \b'.repeat(answer.length))
          answer = ''
        } else if (char >= ' ') {
          answer += char
          if (!hidden) process.stderr.write(char)
          if (answer.length > maxAnswer) return done(() => reject(new BadParameter('answer', 'the answer is too long')))
        }
      }
    }
    terminal.on('data', onData)
  })
}
