/** What turns a recording into a stream of text. */

import type { CastEntry, CastHeader } from '../cast-entry.ts'

export interface Writer {
  head(header: CastHeader): string
  entry(entry: CastEntry): string | Promise<string>
  tail(): string | Promise<string>
}
