/** The rotation of the authorities in words, for `tctl status` and `tctl auth rotate`. */

import type { RotationState } from '../../api/model.ts'
import type { RotationReport } from '../../api/rotation-routes.ts'
import { describeDuration } from '../../common/durations.ts'
import { shortTime } from '../common/time.ts'

interface AuthorityStatus {
  readonly rotation?: RotationState | undefined
  readonly rotated?: string | undefined
}

/** `never updated`, `rotated 2 minutes ago`, or the phase that it is in and until when. */
export function authorityText({ rotation, rotated }: AuthorityStatus, now: Date): string {
  if (rotation === undefined) {
    if (rotated === undefined) return 'never updated'
    return `rotated ${describeDuration(Math.max(0, now.getTime() - Date.parse(rotated)))} ago`
  }
  const { phase, nextPhase, ends } = rotation
  const what = `rotation in progress: phase ${phase}`
  if (nextPhase === undefined || ends === undefined) return `${what}, by hand`
  const left = Date.parse(nextPhase) - now.getTime()
  const next = left <= 0 ? 'next phase is due' : `next phase in ${describeDuration(left)}`
  return `${what}, ${next}, until ${shortTime(new Date(ends))}`
}

const mostShown = 10

/** Label and text of each machine that is waited for. */
export function waitingRows({ waitingFor, waitingForCount }: RotationReport): [string, string][] {
  const shown = waitingFor.slice(0, mostShown)
  const rows = shown.map(({ role, hostname, uuid, reason }): [string, string] => [
    'Waiting for',
    `${role} ${hostname} (${uuid}): ${reason}`,
  ])
  const more = waitingForCount - shown.length
  return more === 0 ? rows : [...rows, ['Waiting for', `${more} more`]]
}
