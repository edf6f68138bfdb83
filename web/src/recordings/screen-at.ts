/** The recorded screen of one moment. */

import type { CastEntry } from '../../../src/audit/recording/cast-entry.ts'
import type { PlayScreen } from '../../../src/audit/recording/play/player.ts'

/** Characters of output that are shown before it counts as too much for a picture. */
const maxText = 1024 * 1024

/** Shows what was shown at that time. The entries begin where an empty terminal can. */
export async function showAt(entries: AsyncIterable<CastEntry>, screen: PlayScreen, atMs: number): Promise<void> {
  let keyframe: string | undefined
  let fresh = true
  let text = ''
  let characters = 0
  const flush = async () => {
    if (keyframe !== undefined) {
      screen.reset()
      await screen.write(keyframe)
      keyframe = undefined
    }
    if (text !== '') await screen.write(text)
    text = ''
  }
  for await (const entry of entries) {
    if (entry.atMs > atMs || characters > maxText) break
    if (entry.type === 'output') {
      fresh = false
      text += entry.text
      characters += entry.text.length
    } else if (entry.type === 'keyframe') {
      // Its size follows it; who was there before has that screen already.
      if (fresh) keyframe = entry.text
    } else if (entry.type === 'resize') {
      if (keyframe === undefined) await flush()
      screen.resize(entry.columns, entry.rows)
    }
  }
  await flush()
}
