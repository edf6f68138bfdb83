/** Between the catalogue's thread and the one that started it. */

import type { ErrorJson } from '../../errors/json.ts'
import type { RecordingPage, RecordingQuery } from './store.ts'
import type { RecordingSummary } from './types.ts'

export interface CatalogueStart {
  /** Of the store. */
  readonly root: string
  /** Of the SQLite file. */
  readonly path: string
}

export type Change =
  /** `textBytes` were added since the last one. */
  | { readonly directory: string; readonly summary: RecordingSummary; readonly textBytes: number }
  /** Removed. */
  | { readonly sid: string }

export type ToCatalogue =
  | { readonly op: 'changes'; readonly changes: readonly Change[] }
  | { readonly op: 'list'; readonly id: number; readonly query: RecordingQuery }
  | { readonly op: 'close' }

export type FromCatalogue =
  /** Changes were taken; more may come. */
  | { readonly op: 'taken' }
  | { readonly op: 'page'; readonly id: number; readonly page: RecordingPage }
  | { readonly op: 'error'; readonly id: number; readonly error: ErrorJson }
  | {
      readonly op: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly message: string
      readonly fields: Readonly<Record<string, unknown>>
    }
  | { readonly op: 'closed' }
