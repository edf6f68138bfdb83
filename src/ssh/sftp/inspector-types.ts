/** What the inspector tells of an SFTP session. */

import type { Attributes } from './types.ts'

interface Told {
  /** Absolute, as the client named it: links are not followed. */
  readonly path: string
  /** Present when it failed, in the words of the server. */
  readonly error?: string
}

export type FileEvent =
  /** An open that failed. */
  | (Told & { readonly kind: 'open'; readonly mode?: number })
  /** A file that was closed after it was open for that. */
  | (Told & {
      readonly kind: 'read' | 'write'
      readonly size: number
      /** Hex; present when the bytes were one run from the first to the last of the file. */
      readonly sha256?: string
      readonly mode?: number
      /** Which of the files that `onOpen` told of, counted from 1. */
      readonly file: number
    })
  | (Told & { readonly kind: 'setstat'; readonly attributes: Attributes })
  | (Told & { readonly kind: 'opendir' | 'remove' | 'mkdir' | 'rmdir' })
  /** `target`: the new name; what a symbolic link says. */
  | (Told & { readonly kind: 'rename' | 'symlink' | 'link'; readonly target: string })

export interface InspectorOptions {
  /** The directory in which the server starts, absolute. */
  readonly directory: string
  onEvent(event: FileEvent): void
  /** A file is open now; events of kind `read` or `write` with its number will tell what became of it. */
  onOpen?(file: { readonly number: number; readonly path: string; readonly writes: boolean }): void
  /** The stream is no SFTP: nothing can be told from here on. Called once. */
  onProblem(reason: string): void
}
