/**
 * Room that is kept for what lets an administrator in when the disk is full: a file whose blocks are there already. Events written
 * into it take no space; they move into the log, in order, when there is some again.
 */

import { hash } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { convertSystemError } from '../errors/system.ts'
import type { NewRow } from './file.ts'

const RESERVE_BYTES = 1024 * 1024

export class Reserve {
  readonly #path: string
  #file: number | undefined
  /** Where the next line goes. */
  #end = 0
  #count = 0
  /** Of this filling: lines of an earlier one, which may still stand behind, do not count. */
  #round = ''
  #rows: NewRow[] = []

  /** Reads what an earlier process left. Never throws: without room for the reserve there is none. */
  constructor(path: string) {
    this.#path = path
    this.prepare()
  }

  /** Kept here, not in the log. */
  get rows(): readonly NewRow[] {
    return this.#rows
  }

  get exists(): boolean {
    return this.#file !== undefined
  }

  /** Makes the file, if it is not there; true when it is. */
  prepare(): boolean {
    if (this.#file !== undefined) return true
    let file: number | undefined
    try {
      file = openSync(this.#path, 'a+', 0o600)
      closeSync(file)
      file = openSync(this.#path, 'r+')
      const content = Buffer.alloc(RESERVE_BYTES)
      const length = readSync(file, content, 0, RESERVE_BYTES, 0)
      // All of it is written, since a hole has no blocks.
      if (length < RESERVE_BYTES) {
        writeSync(file, Buffer.alloc(RESERVE_BYTES - length), 0, RESERVE_BYTES - length, length)
        fdatasyncSync(file)
      }
      this.#file = file
      this.#load(content)
      return true
    } catch {
      if (file !== undefined) tryTo(() => closeSync(file as number))
      if (this.#file === undefined) tryTo(() => rmSync(this.#path, { force: true }))
      return false
    }
  }

  /** Durable when it returns; false when it is full or missing. Throws System errors. */
  write(rows: readonly NewRow[]): boolean {
    if (this.#file === undefined) return false
    if (this.#round === '')
      this.#round = hash('sha256', rows.map((row) => row.uid.toString('hex')).join(), 'hex').slice(0, 16)
    const lines = rows.map((row, index) => this.#line(row, this.#count + index))
    const data = Buffer.from(lines.join(''))
    if (this.#end + data.length > RESERVE_BYTES) return false
    try {
      writeSync(this.#file, data, 0, data.length, this.#end)
      fdatasyncSync(this.#file)
    } catch (error) {
      throw convertSystemError(error, `write ${this.#path}`)
    }
    this.#end += data.length
    this.#count += rows.length
    this.#rows.push(...rows)
    return true
  }

  /** What was kept is in the log now. A crash before leaves it here, which is harmless: the log takes each event once. */
  clear(): void {
    this.#rows = []
    this.#end = 0
    this.#count = 0
    this.#round = ''
    if (this.#file === undefined) return
    writeSync(this.#file, Buffer.alloc(1), 0, 1, 0)
    fdatasyncSync(this.#file)
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  #line({ timeMs, uid, body }: NewRow, index: number): string {
    const text = JSON.stringify([this.#round, index, timeMs, uid.toString('hex'), body])
    return `${hash('sha256', text, 'hex')} ${text}\n`
  }

  /** Up to the first line that is not whole. */
  #load(content: Buffer): void {
    let start = 0
    for (let end = content.indexOf(10); end !== -1; end = content.indexOf(10, start)) {
      const line = content.subarray(start, end).toString('utf8')
      const text = line.slice(65)
      if (hash('sha256', text, 'hex') !== line.slice(0, 64)) return
      const [round, index, timeMs, uid, body] = JSON.parse(text) as [string, number, number, string, string]
      if (index !== this.#count || (index > 0 && round !== this.#round)) return
      this.#round = round
      this.#count++
      this.#rows.push({ timeMs, uid: Buffer.from(uid, 'hex'), body })
      start = end + 1
      this.#end = start
    }
  }
}

function tryTo(run: () => void): void {
  try {
    run()
  } catch {
    // What counts is said elsewhere.
  }
}
