/** Where a player stands, in the address of its page. */

import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import type { PlayerAction } from '../../../src/audit/recording/play/player.ts'

/** Milliseconds that a position is kept before it is written into the address. */
const settle = 400

export const linkTo = (sid: string, positionMs: number): string =>
  `${location.origin}/web/recordings/${sid}?at=${Math.floor(positionMs / 1000)}`

/** Where it stands still is in the address: a reload, a bookmark and the button "back" lead there. Another moment in it is gone to at once. */
export function usePositionInAddress(player: {
  /** Of the address. */
  readonly atMs: number
  readonly positionMs: number
  readonly isMoving: boolean
  press(action: PlayerAction): void
}): void {
  const { atMs, positionMs, isMoving, press } = player
  const navigate = useNavigate()
  /** What this page wrote there itself, or has gone to. */
  const own = useRef(atMs)
  useEffect(() => {
    if (atMs === own.current) return
    own.current = atMs
    press({ type: 'to', atMs })
  }, [atMs, press])
  useEffect(() => {
    if (isMoving) return
    const timer = setTimeout(() => {
      const at = Math.round(positionMs / 100) / 10
      own.current = msOf(at)
      void navigate({ to: '.', search: at > 0 ? { at } : {}, replace: true, resetScroll: false })
    }, settle)
    return () => clearTimeout(timer)
  }, [positionMs, isMoving, navigate])
}

/** From the seconds of the address. */
export const msOf = (at: number): number => Math.round(at * 1000)
