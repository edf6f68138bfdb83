/** What the viewer types, as what the player shall do. */

import type { PlayerAction as Action } from '../../../audit/recording/play/player.ts'

/** `suspend` is for who owns the terminal. */
export type PlayerAction = Action | { readonly type: 'suspend' }

const short = 10_000
const long = 60_000

const keys: ReadonlyMap<string, PlayerAction> = new Map<string, PlayerAction>([
  [' ', { type: 'pause' }],
  ['.', { type: 'step' }],
  ['i', { type: 'idle' }],
  ['s', { type: 'status' }],
  ['?', { type: 'help' }],
  ['q', { type: 'quit' }],
  ['\u0003', { type: 'quit' }],
  ['\u0004', { type: 'quit' }],
  ['\u001a', { type: 'suspend' }],
  ['+', { type: 'faster' }],
  ['=', { type: 'faster' }],
  ['-', { type: 'slower' }],
  ['_', { type: 'slower' }],
  ['[', { type: 'seek', by: -long }],
  [']', { type: 'seek', by: long }],
  ['\u001b[D', { type: 'seek', by: -short }],
  ['\u001b[C', { type: 'seek', by: short }],
  ['\u001bOD', { type: 'seek', by: -short }],
  ['\u001bOC', { type: 'seek', by: short }],
  ['\u001b[1;2D', { type: 'seek', by: -long }],
  ['\u001b[1;2C', { type: 'seek', by: long }],
  ['\u001b[H', { type: 'start' }],
  ['\u001bOH', { type: 'start' }],
  ['\u001b[1~', { type: 'start' }],
  ['g', { type: 'start' }],
  ['\u001b[F', { type: 'end' }],
  ['\u001bOF', { type: 'end' }],
  ['\u001b[4~', { type: 'end' }],
  ['G', { type: 'end' }],
])

/** One key: an escape sequence, or a character. */
const token = /\u001b\[[0-?]*[ -/]*[@-~]|\u001bO[ -~]|\u001b[^[O]|[^\u001b]/gsu
/** The beginning of a sequence whose rest is still on its way. */
const partial = /\u001b(?:\[[0-?]*[ -/]*|O)?$/

/** Sequences may come in pieces, so there is one of these for each terminal. */
export class KeyReader {
  #rest = ''

  read(typed: string): PlayerAction[] {
    const text = this.#rest + typed
    const cut = partial.exec(text)
    this.#rest = cut !== null && cut[0].length < 32 ? cut[0] : ''
    const whole = text.slice(0, text.length - this.#rest.length)
    return (whole.match(token) ?? []).flatMap((key) => keys.get(key) ?? [])
  }
}

/** What `?` shows. */
export const keyHelp: readonly string[] = [
  'space    pause, go on',
  '← →      10 seconds back, ahead',
  '[ ]      1 minute back, ahead (also shift with ← →)',
  'g G      to the beginning, to the end',
  '.        one step, while paused',
  '+ -      faster, slower',
  'i        skip times without output, or not',
  's        show the time, or not',
  'q        quit',
]
