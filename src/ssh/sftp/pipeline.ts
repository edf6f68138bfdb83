/**
 * Copies one file with many requests on their way at once, since one at a time would cost a round trip each. Both ends are
 * places that are read and written at offsets: the local disk, or a server.
 */

export interface CopySource {
  /**
   * At most `length` bytes at `offset`; undefined at the end of the file. `scratch` is memory of at least `length` bytes that may
   * hold the answer; it is not used for anything else until the answer was written.
   */
  read(offset: number, length: number, scratch: () => Buffer): Promise<Buffer | undefined>
}

export interface CopySink {
  write(offset: number, data: Buffer): Promise<void>
}

export interface CopyOptions {
  /** Bytes that are copied at most; undefined: to the end of the file, wherever that is, with one request at a time. */
  readonly size: number | undefined
  /** Bytes of one request. */
  readonly chunk: number
  /** Bytes that are on their way at most, so much memory is needed. */
  readonly window: number
  onBytes?(count: number): void
}

/** Returns the bytes copied, fewer than `size` when the file has become shorter. Rejects with the first error, after all has come to rest. */
export async function copyPipelined(source: CopySource, sink: CopySink, options: CopyOptions): Promise<number> {
  const copy = new Copy(source, sink, options)
  const { size, chunk, window } = options
  const workers = size === undefined ? 1 : Math.min(Math.max(1, Math.floor(window / chunk)), Math.ceil(size / chunk))
  await Promise.all(Array.from({ length: workers }, () => copy.work()))
  if (copy.failure !== undefined) throw copy.failure.error
  return copy.end
}

class Copy {
  /** Where the file ends, as far as it is known. */
  end: number
  failure: { readonly error: unknown } | undefined
  readonly #source: CopySource
  readonly #sink: CopySink
  readonly #options: CopyOptions
  #next = 0
  /** Settles when the chunk before was handed to the sink. */
  #turn: Promise<void> = Promise.resolve()

  constructor(source: CopySource, sink: CopySink, options: CopyOptions) {
    this.#source = source
    this.#sink = sink
    this.#options = options
    this.end = options.size ?? Number.MAX_SAFE_INTEGER
  }

  /** Takes one chunk after the other. Never rejects. */
  async work(): Promise<void> {
    let memory: Buffer | undefined
    const size = Math.min(this.#options.chunk, this.#options.size ?? this.#options.chunk)
    const scratch = () => {
      memory ??= Buffer.allocUnsafeSlow(size)
      return memory
    }
    try {
      while (this.failure === undefined && this.#next < this.end) {
        const offset = this.#next
        const length = Math.min(size, this.end - offset)
        this.#next = offset + length
        await this.#copy(offset, length, scratch)
      }
    } catch (error) {
      this.failure ??= { error }
    }
  }

  /**
   * One chunk; what a short answer left out is asked for again. Questions leave in the order of the file, and so do writes: whoever
   * watches the transfer sees one run from start to end, and can tell its checksum.
   */
  async #copy(offset: number, length: number, scratch: () => Buffer): Promise<void> {
    const before = this.#turn
    const turn = Promise.withResolvers<void>()
    this.#turn = turn.promise
    try {
      let done = 0
      while (done < length && offset + done < this.end && this.failure === undefined) {
        const data = await this.#source.read(offset + done, length - done, scratch)
        await before
        if (this.failure !== undefined) return
        if (data === undefined) {
          this.end = Math.min(this.end, offset + done)
          return
        }
        const writing = this.#sink.write(offset + done, data)
        done += data.length
        if (done >= length) turn.resolve()
        await writing
        this.#options.onBytes?.(data.length)
      }
    } finally {
      turn.resolve()
    }
  }
}
