/** The bar of a player: where it stands, where much was printed, and what happened when. */

import { useMemo } from 'react'
import { clockTime } from '../../../src/audit/recording/play/clock-time.ts'
import type { PlayerAction } from '../../../src/audit/recording/play/player.ts'
import { recordingsText } from '../text/recordings.ts'
import type { Mark, Timeline } from './timeline.ts'

const words = recordingsText.player
const parts = 160

export function Bar(props: {
  positionMs: number
  durationMs: number
  marks: readonly Mark[]
  timeline: Timeline
  known: number
  press(action: PlayerAction): void
}) {
  const { positionMs, durationMs, marks, timeline, known, press } = props
  // biome-ignore lint/correctness/useExhaustiveDependencies: `known` tells that the timeline has more
  const activity = useMemo(() => timeline.activity(durationMs, parts), [timeline, durationMs, known])
  const length = Math.max(1, durationMs)
  const part = (ms: number) => (Math.min(ms, length) / length) * parts
  return (
    <div className="player-bar">
      <svg viewBox={`0 0 ${parts} 20`} preserveAspectRatio="none" aria-hidden="true">
        {activity.map((height, index) =>
          height === 0 ? null : (
            // biome-ignore lint/suspicious/noArrayIndexKey: parts of a line have no other name
            <rect key={index} x={index} width="0.8" y={20 - height * 14} height={height * 14} className="active" />
          ),
        )}
        <rect x="0" y="0" width={part(positionMs)} height="20" className="played" />
        {marks.map((mark) => (
          <rect
            key={`${mark.atMs} ${mark.text}`}
            x={part(mark.atMs)}
            y="0"
            width="0.6"
            height="20"
            className={mark.kind}
          />
        ))}
      </svg>
      <input
        type="range"
        min={0}
        max={length}
        step={100}
        value={Math.min(positionMs, length)}
        aria-label={words.position}
        aria-valuetext={words.of(clockTime(positionMs), clockTime(durationMs))}
        onChange={(event) => press({ type: 'to', atMs: event.currentTarget.valueAsNumber })}
      />
    </div>
  )
}
