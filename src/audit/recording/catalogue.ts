/** What is derived from the files of recordings: the list with its filters, and the words on their screens. */

import type { RecordingPage, RecordingQuery } from './store.ts'
import type { RecordingSummary } from './types.ts'

export interface Catalogue {
  /**
   * A recording began, grew (by so many bytes of text) or ended. Not waited for, never throws: the files are the truth, and are looked
   * through again.
   */
  changed(directory: string, summary: RecordingSummary, textBytes?: number): void
  removed(sid: string): void
  /** Throws BadParameter for a malformed search or cursor. */
  list(query: RecordingQuery): Promise<RecordingPage>
  close(): Promise<void>
}
