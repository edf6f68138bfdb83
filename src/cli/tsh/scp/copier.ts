/**
 * Copies files and trees from one file system to another. What fails is reported and the rest goes on, as with scp; only a lost
 * connection, or the user, ends it all.
 */

import { formatBytes } from '../../../common/bytes.ts'
import { BadParameter, isAlreadyExists, isConnectionProblem, KindError } from '../../../errors/errors.ts'
import { copyPipelined } from '../../../ssh/sftp/pipeline.ts'
import { joinPath, ownName, shown, toText } from './bytes.ts'
import type { FileFacts, FileSystem, Kept } from './file-system.ts'
import type { Progress } from './progress.ts'
import { Slots } from './slots.ts'

export interface CopyRules {
  readonly recursive: boolean
  readonly preserve: boolean
  readonly signal: AbortSignal
  readonly progress: Progress
  /** One line for a person. */
  report(line: string): void
}

/** As scp. Deeper trees are loops, made by links. */
const maxDepth = 64
/** Bytes on their way for one file, and so the memory it takes. */
const window = 4 * 1024 * 1024
/** Small files that are copied at the same time. */
const parallel = 8
/** A file of this size and more is copied alone. Bytes. */
const largeFile = 512 * 1024

/** A directory whose mode and times are set when everything in it is there. */
interface Unfinished {
  readonly path: string
  readonly kept: Kept
}

export class Copier {
  failures = 0
  readonly #from: FileSystem
  readonly #to: FileSystem
  readonly #rules: CopyRules
  readonly #slots = new Slots(parallel)
  #fatal: unknown
  #directories: Unfinished[] = []

  constructor(from: FileSystem, to: FileSystem, rules: CopyRules) {
    this.#from = from
    this.#to = to
    this.#rules = rules
  }

  /**
   * Copies each source to `target`, or into it where `into` is set: it is a directory then. Rejects when the connection is lost or
   * the signal aborted; other failures are counted.
   */
  async copy(sources: readonly string[], target: string, into: boolean): Promise<void> {
    for (const source of sources) {
      const name = ownName(source)
      const destination = into && name !== '' ? joinPath(target, name) : target
      await this.#guard(async () => {
        await this.#item(source, destination, await this.#from.facts(source), 0)
      })
      if (this.#fatal !== undefined) break
    }
    await this.#slots.idle()
    await this.#finishDirectories()
    if (this.#fatal !== undefined) throw this.#fatal
  }

  async #item(source: string, target: string, facts: FileFacts, depth: number): Promise<void> {
    this.#rules.signal.throwIfAborted()
    switch (facts.kind) {
      case 'directory':
        await this.#directory(source, target, facts, depth)
        return
      case 'file': {
        const release = await this.#slots.take(Math.ceil((parallel * facts.size) / largeFile))
        if (this.#fatal !== undefined) release()
        else void this.#guard(() => this.#file(source, target, facts)).finally(release)
        return
      }
      case 'other':
        throw new BadParameter('path', `${this.#from.label}${shown(source)}: not a regular file`)
    }
  }

  async #directory(source: string, target: string, facts: FileFacts, depth: number): Promise<void> {
    const where = `${this.#from.label}${shown(source)}`
    if (!this.#rules.recursive) throw new BadParameter('path', `${where}: is a directory; copy it with -r`)
    if (depth >= maxDepth) throw new BadParameter('path', `${where}: more than ${maxDepth} directories deep`)
    const mode = facts.mode & 0o1777
    const created = await this.#makeDirectory(target, mode | 0o300)
    const times = this.#rules.preserve ? facts.times : undefined
    if (this.#rules.preserve) this.#directories.push({ path: target, kept: { mode, times } })
    else if (created && (mode & 0o300) !== 0o300) this.#directories.push({ path: target, kept: { mode } })
    for await (const entry of this.#from.list(source)) {
      if (this.#fatal !== undefined) return
      if ('refused' in entry) {
        this.#failed(new BadParameter('name', `${where}: the server lists ${entry.refused}; not copied`))
        continue
      }
      const child = joinPath(source, entry.name)
      await this.#guard(async () => {
        const found = entry.facts ?? (await this.#from.facts(child))
        await this.#item(child, joinPath(target, entry.name), found, depth + 1)
      })
    }
  }

  /** True when it was not there before. */
  async #makeDirectory(path: string, mode: number): Promise<boolean> {
    try {
      await this.#to.makeDirectory(path, mode)
      return true
    } catch (error) {
      // SFTP has no status of its own for "it exists", so the directory itself is asked.
      if (isConnectionProblem(error)) throw error
      const found = await this.#to.facts(path).catch(() => undefined)
      if (found?.kind === 'directory') return false
      if (found !== undefined && isAlreadyExists(error)) {
        throw new BadParameter('path', `${this.#to.label}${shown(path)}: is there, and is not a directory`)
      }
      throw error
    }
  }

  async #file(source: string, target: string, facts: FileFacts): Promise<void> {
    const { signal, preserve, progress } = this.#rules
    // Opened for reading first, so that nothing is made at the target for a file that cannot be read.
    const from = await this.#from.openSource(source)
    const mode = facts.mode & 0o777
    try {
      signal.throwIfAborted()
      const to = await this.#to.openSink(target, mode)
      const line = progress.begin(toText(ownName(source)), facts.size)
      try {
        const size = await copyPipelined(from, to, {
          // Files without a size, such as those of /proc, are read to their end.
          size: facts.size === 0 ? undefined : facts.size,
          chunk: Math.min(this.#from.chunk, this.#to.chunk),
          window,
          onBytes: (count) => {
            signal.throwIfAborted()
            line.add(count)
          },
        })
        await to.finish(size, preserve ? { mode, times: facts.times } : {})
        line.done()
      } catch (error) {
        await to.abandon()
        line.broken()
        const part =
          facts.size === 0 ? formatBytes(line.bytes) : `${formatBytes(line.bytes)} of ${formatBytes(facts.size)}`
        this.#incomplete(`${this.#to.label}${shown(target)} is incomplete: ${part}`)
        throw error
      }
    } finally {
      await from.close()
    }
  }

  async #finishDirectories(): Promise<void> {
    // The inner ones first: what is done inside changes the times of the outer.
    for (const { path, kept } of this.#directories.reverse()) {
      if (this.#fatal !== undefined) return
      await this.#guard(() => this.#to.keep(path, kept))
    }
    this.#directories = []
  }

  /** Runs it; what fails is reported, and what makes all else pointless is kept. Never rejects. */
  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (this.#rules.signal.aborted) this.#fatal ??= this.#rules.signal.reason
      else if (isConnectionProblem(error) || !(error instanceof KindError)) this.#fatal ??= error
      else this.#failed(error)
    }
  }

  #failed(error: KindError): void {
    this.failures++
    this.#rules.report(error.message)
  }

  #incomplete(line: string): void {
    this.#rules.report(line)
  }
}
