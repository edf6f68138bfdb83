/** Keys of the player: those of `tsh play`, and `f`. */

import type { PlayerAction } from '../../../src/audit/recording/play/player.ts'

/** Milliseconds. */
const short = 10_000
const long = 60_000

const keys: ReadonlyMap<string, PlayerAction> = new Map<string, PlayerAction>([
  [' ', { type: 'pause' }],
  ['k', { type: 'pause' }],
  ['.', { type: 'step' }],
  ['i', { type: 'idle' }],
  ['+', { type: 'faster' }],
  ['=', { type: 'faster' }],
  ['-', { type: 'slower' }],
  ['_', { type: 'slower' }],
  ['[', { type: 'seek', by: -long }],
  [']', { type: 'seek', by: long }],
  ['g', { type: 'start' }],
  ['Home', { type: 'start' }],
  ['G', { type: 'end' }],
  ['End', { type: 'end' }],
])

export interface Pressed {
  readonly key: string
  readonly shiftKey: boolean
  readonly ctrlKey: boolean
  readonly altKey: boolean
  readonly metaKey: boolean
}

/** Undefined: the key is for somebody else. */
export function actionOf({ key, shiftKey, ctrlKey, altKey, metaKey }: Pressed): PlayerAction | 'full' | undefined {
  if (ctrlKey || altKey || metaKey) return undefined
  if (key === 'ArrowLeft') return { type: 'seek', by: shiftKey ? -long : -short }
  if (key === 'ArrowRight') return { type: 'seek', by: shiftKey ? long : short }
  return key === 'f' ? 'full' : keys.get(key)
}
