/**
 * Watches the legacy protocol of scp (rcp's): one side, the source, announces directories and files (`C0644 5 name`, `D0755 0 name`,
 * `E`, `T…`) and sends their content; the other, the sink, answers each with a zero byte or an error. Both sides wait for each
 * other, so what a line means is known when its answer has come. Changes nothing and holds nothing up.
 */

import { createHash, type Hash } from 'node:crypto'

export interface ScpFile {
  /** Which of those that `onStart` told of. */
  readonly number: number
  readonly path: string
  /** Bytes that crossed. */
  readonly size: number
  /** Hex; absent when not everything crossed. */
  readonly sha256?: string
  readonly mode?: string
  readonly error?: string
}

export interface ScpInspectorOptions {
  /** Where a file of that name lies on this machine; `directories`: the names of those around it, outermost first. */
  pathOf(directories: readonly string[], name: string): string
  /** A file was announced; `onFile` will tell what became of it. Numbers count from 1. */
  onStart?(file: Pick<ScpFile, 'number' | 'path'>): void
  onFile(file: ScpFile): void
  /** What crosses is not this protocol; nothing can be told from here on. Called once. */
  onProblem(reason: string): void
  /** The source could not send something that was asked for. */
  onSourceError(message: string): void
}

type Expected = 'start' | 'times' | 'file' | 'content' | 'directory' | 'end'

interface Current {
  readonly number: number
  readonly path: string
  readonly mode: string
  readonly size: bigint
  left: bigint
  readonly hash: Hash
  error: string | undefined
}

const maxLine = 8192
/** Bytes of the source that came before the answer that decides what they are. Nobody sends more without waiting. */
const maxEarly = 4 * 1024 * 1024
const newline = 0x0a

export class ScpInspector {
  readonly #options: ScpInspectorOptions
  readonly #expected: Expected[] = ['start']
  readonly #directories: string[] = []
  #announced: string | undefined
  #state: 'line' | 'waiting' | 'content' | 'status' = 'line'
  #line: Buffer[] = []
  #lineSize = 0
  #answer: Buffer[] = []
  #answerSize = 0
  #early: Buffer[] = []
  #earlySize = 0
  #current: Current | undefined
  #files = 0
  /** Complete, but the sink has not said yet what it thinks of them. */
  readonly #sent: Current[] = []
  #over = false

  constructor(options: ScpInspectorOptions) {
    this.#options = options
  }

  fromSource(chunk: Buffer): void {
    let rest: Buffer | undefined = chunk
    while (rest !== undefined && rest.length > 0 && !this.#over) rest = this.#take(rest)
  }

  fromSink(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#over; ) {
      if (this.#answerSize === 0 && chunk[at] === 0) {
        at++
        this.#answered(undefined)
        continue
      }
      const end = chunk.indexOf(newline, at)
      const piece = chunk.subarray(at, end < 0 ? undefined : end)
      this.#answer.push(Buffer.from(piece))
      this.#answerSize += piece.length + 1
      at += piece.length + 1
      if (this.#answerSize > maxLine) this.#fail('an answer is too long')
      else if (end >= 0) {
        const text = messageIn(Buffer.concat(this.#answer))
        this.#answer = []
        this.#answerSize = 0
        this.#answered(text)
      }
    }
  }

  /** The session is over. */
  finish(): void {
    if (this.#over) return
    const error = 'the session ended before the file was complete'
    for (const file of [...this.#sent, ...(this.#current === undefined ? [] : [this.#current])]) this.#tell(file, error)
    this.#over = true
  }

  #fail(reason: string): void {
    this.finish()
    this.#options.onProblem(`what crosses is not the protocol of scp: ${reason}`)
  }

  /** Returns what is left of the chunk; undefined when it waits. */
  #take(chunk: Buffer): Buffer | undefined {
    switch (this.#state) {
      case 'line':
        return this.#takeLine(chunk, (line) => this.#announce(line))
      case 'waiting':
        this.#earlySize += chunk.length
        if (this.#earlySize > maxEarly) this.#fail('content without waiting for an answer')
        else this.#early.push(Buffer.from(chunk))
        return undefined
      case 'content':
        return this.#takeContent(chunk)
      case 'status':
        if (this.#lineSize === 0 && chunk[0] === 0) {
          this.#state = 'line'
          return chunk.subarray(1)
        }
        return this.#takeLine(chunk, (line) => {
          const last = this.#sent.at(-1)
          if (last !== undefined) last.error = messageIn(line)
          this.#state = 'line'
        })
    }
  }

  #takeLine(chunk: Buffer, use: (line: Buffer) => void): Buffer {
    const end = chunk.indexOf(newline)
    const piece = chunk.subarray(0, end < 0 ? undefined : end)
    this.#line.push(Buffer.from(piece))
    this.#lineSize += piece.length + 1
    if (this.#lineSize > maxLine) {
      this.#fail('a line is too long')
      return chunk.subarray(chunk.length)
    }
    if (end < 0) return chunk.subarray(chunk.length)
    const line = Buffer.concat(this.#line)
    this.#line = []
    this.#lineSize = 0
    use(line)
    return chunk.subarray(end + 1)
  }

  #takeContent(chunk: Buffer): Buffer {
    const current = this.#current
    if (current === undefined) return chunk
    const size = current.left < BigInt(chunk.length) ? Number(current.left) : chunk.length
    current.hash.update(chunk.subarray(0, size))
    current.left -= BigInt(size)
    if (current.left === 0n) this.#endContent(current)
    return chunk.subarray(size)
  }

  #endContent(file: Current): void {
    this.#current = undefined
    this.#sent.push(file)
    this.#state = 'status'
    this.#expected.push('content')
  }

  #announce(line: Buffer): void {
    const text = line.toString('utf8')
    const [, mode = '', size = '', name = ''] = /^[CD]([0-7]{4,5}) (\d{1,19}) (.+)$/s.exec(text) ?? []
    switch (text.charAt(0)) {
      case 'C':
        if (name === '') break
        this.#current = {
          number: ++this.#files,
          path: this.#options.pathOf(this.#directories, name),
          mode,
          size: BigInt(size),
          left: BigInt(size),
          hash: createHash('sha256'),
          error: undefined,
        }
        this.#options.onStart?.(this.#current)
        this.#await('file')
        return
      case 'D':
        if (name === '') break
        this.#announced = name
        this.#await('directory')
        return
      case 'E':
        this.#directories.pop()
        this.#expected.push('end')
        return
      case 'T':
        this.#expected.push('times')
        return
      case '\x01':
      case '\x02':
        this.#options.onSourceError(messageIn(line))
        return
    }
    this.#fail('a line that it does not have')
  }

  #await(expected: Expected): void {
    this.#expected.push(expected)
    this.#state = 'waiting'
  }

  #answered(error: string | undefined): void {
    // Errors may come at any time; only what was announced can be agreed to.
    const expected = this.#expected.shift()
    if (expected === 'content') {
      const file = this.#sent.shift()
      if (file !== undefined) this.#tell(file, error)
      return
    }
    if (expected === 'file' && this.#current !== undefined) this.#fileAnswered(this.#current, error)
    else if (expected === 'directory') {
      this.#state = 'line'
      if (error === undefined && this.#announced !== undefined) this.#directories.push(this.#announced)
    } else return
    const early = this.#early
    this.#early = []
    this.#earlySize = 0
    for (const chunk of early) this.fromSource(chunk)
  }

  #fileAnswered(file: Current, error: string | undefined): void {
    this.#state = 'line'
    if (error !== undefined) {
      this.#current = undefined
      this.#tell(file, error)
    } else if (file.left === 0n) this.#endContent(file)
    else this.#state = 'content'
  }

  #tell(current: Current, error: string | undefined): void {
    const { number, path, mode, left, hash } = current
    const problem = error ?? current.error
    this.#options.onFile({
      number,
      path,
      size: Number(current.size - left),
      mode,
      ...(left === 0n && current.error === undefined ? { sha256: hash.digest('hex') } : {}),
      ...(problem === undefined ? {} : { error: problem }),
    })
  }
}

/** Without the byte that says how bad it is. */
const messageIn = (line: Buffer): string =>
  line
    .subarray((line[0] ?? 0xff) <= 2 ? 1 : 0)
    .toString('utf8')
    .trim()
