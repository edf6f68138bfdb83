/** Files as `tsh scp` sees them, here or on a node, so that one engine copies in every direction. Paths are byte strings. */

import type { CopySink, CopySource } from '../../../ssh/sftp/pipeline.ts'

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'other'
  readonly size: number
  /** Permission bits only. */
  readonly mode: number
  readonly times: FileTimes | undefined
}

/** Seconds since 1970. */
export interface FileTimes {
  readonly atime: number
  readonly mtime: number
}

export interface Kept {
  readonly mode?: number
  readonly times?: FileTimes | undefined
}

export interface ListedEntry {
  readonly name: string
  /** Undefined for links, and where the listing does not say. */
  readonly facts: FileFacts | undefined
}

export interface OpenSource extends CopySource {
  close(): Promise<void>
}

export interface OpenSink extends CopySink {
  /** Cuts the file to its size, sets what is kept, and closes it: only after this it is complete. */
  finish(size: number, kept: Kept): Promise<void>
  /** Closes it as it is. Never rejects. */
  abandon(): Promise<void>
}

/** All rejections are kinds that name the path. */
export interface FileSystem {
  /** Before paths in messages: empty, or `host:`. */
  readonly label: string
  /** Most bytes of one read or write. */
  readonly chunk: number
  /** Follows links. */
  facts(path: string): Promise<FileFacts>
  list(path: string): AsyncIterable<ListedEntry | { readonly refused: string }>
  openSource(path: string): Promise<OpenSource>
  /** What is there already is written over, and keeps its mode. */
  openSink(path: string, mode: number): Promise<OpenSink>
  makeDirectory(path: string, mode: number): Promise<void>
  keep(path: string, kept: Kept): Promise<void>
}
