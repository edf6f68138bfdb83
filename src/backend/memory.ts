/** The store without a disk, for tests and for trying things out. Nothing survives the process. */

import type { Env } from '../common/env.ts'
import type { Backend } from './contract.ts'
import { LocalBackend, type LocalOptions, type Row, type Table } from './local.ts'

export function openMemoryBackend(env: Env, options: LocalOptions = {}): Backend {
  return new LocalBackend(new MemoryTable(), env, options)
}

class MemoryTable implements Table {
  readonly #rows = new Map<string, Row>()
  /** Keys in order. */
  readonly #keys: string[] = []

  begin(): void {}
  commit(): void {}
  rollback(): void {}
  close(): void {}
  lastRevision(): number {
    return 0
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key)
  }

  set(key: string, row: Row): void {
    if (!this.#rows.has(key)) this.#keys.splice(this.#position(key), 0, key)
    this.#rows.set(key, row)
  }

  delete(key: string): void {
    if (this.#rows.delete(key)) this.#keys.splice(this.#position(key), 1)
  }

  scan(from: string, inclusive: boolean, to: string, limit: number, now: number): readonly (readonly [string, Row])[] {
    const found: (readonly [string, Row])[] = []
    for (let index = this.#position(from); found.length < limit; index++) {
      const key = this.#keys[index]
      if (key === undefined || key >= to) break
      const row = this.#rows.get(key)
      if (row === undefined || (key === from && !inclusive)) continue
      if (row.expires === undefined || row.expires > now) found.push([key, row])
    }
    return found
  }

  expired(now: number, limit: number): readonly string[] {
    const found: string[] = []
    for (const [key, row] of this.#rows) {
      if (found.length >= limit) break
      if (row.expires !== undefined && row.expires <= now) found.push(key)
    }
    return found
  }

  /** Where the key is, or would be inserted. */
  #position(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#keys[middle] ?? '') < key) low = middle + 1
      else high = middle
    }
    return low
  }
}
