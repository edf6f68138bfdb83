/**
 * The phases of a rotation, as pure functions over the stored record: which key signs, which keys are trusted, which phase may follow
 * which, and when. The table is in docs/decisions/ca-rotation.md.
 */

import type { RotationState } from '../api/model.ts'
import { assertNever } from '../errors/errors.ts'
import type { StoredAuthority, StoredAuthorityKey } from './records.ts'

export type Phase = 'standby' | 'init' | 'update_clients' | 'update_servers' | 'rollback'
export const phases: readonly Phase[] = ['standby', 'init', 'update_clients', 'update_servers', 'rollback']

export const phaseOf = (record: StoredAuthority): Phase => record.rotation?.phase ?? 'standby'

/**
 * Whether certificates are made with the new key in this phase. User certificates are what clients show, host certificates what
 * servers show: a server must not show one of an authority that clients may not have heard of yet.
 */
function signsNew(type: StoredAuthority['type'], phase: Phase): boolean {
  switch (phase) {
    case 'standby':
    case 'init':
    case 'rollback':
      return false
    case 'update_clients':
      return type === 'user'
    case 'update_servers':
      return true
    default:
      return assertNever(phase)
  }
}

/** Every key that is trusted now: the one that signs, then the other one while there is one. */
export function trustedKeys(record: StoredAuthority): readonly [StoredAuthorityKey, ...StoredAuthorityKey[]] {
  const { type, key, rotation } = record
  if (rotation === undefined) return [key]
  return signsNew(type, rotation.phase) ? [rotation.key, key] : [key, rotation.key]
}

const secondsLater = (time: string, seconds: number): string =>
  new Date(Date.parse(time) + seconds * 1000).toISOString()

/** Phases that a rotation in automatic mode still has to begin, after the present one. */
const left = { init: 3, update_clients: 2, update_servers: 1, rollback: 0 } as const

/** What everybody may know of it. */
export function publicRotation({ rotation }: StoredAuthority): RotationState | undefined {
  if (rotation === undefined) return undefined
  const { phase, mode, started, phaseStarted, gracePeriod } = rotation
  if (mode === 'manual' || phase === 'rollback') return { phase, mode, started }
  const share = gracePeriod / 3
  return {
    phase,
    mode,
    started,
    nextPhase: secondsLater(phaseStarted, share),
    ends: secondsLater(phaseStarted, share * left[phase]),
  }
}

/** The phase that the automatic mode goes to, and when it is due; undefined when nothing happens by itself. */
export function nextByItself(record: StoredAuthority): { readonly phase: Phase; readonly at: Date } | undefined {
  const { rotation } = record
  const due = publicRotation(record)?.nextPhase
  if (rotation === undefined || due === undefined) return undefined
  const at = new Date(due)
  switch (rotation.phase) {
    case 'init':
      return { phase: 'update_clients', at }
    case 'update_clients':
      return { phase: 'update_servers', at }
    case 'update_servers':
      return { phase: 'standby', at }
    case 'rollback':
      return undefined
    default:
      return assertNever(rotation.phase)
  }
}

export interface Step {
  readonly phase: Phase
  readonly mode: 'auto' | 'manual'
  /** Seconds; counts when a rotation begins. 0: the old authority is trusted no more from this moment on. */
  readonly gracePeriod: number
}

/** For a rotation that begins. */
export interface NewRotation {
  readonly id: string
  readonly now: Date
  /** Made only when it is needed. */
  makeKey(): StoredAuthorityKey
}

export type StepResult =
  | { readonly ok: true; readonly record: StoredAuthority }
  | { readonly ok: false; readonly reason: string }

/** From which phases each one can be reached. */
const from: Readonly<Record<Phase, readonly Phase[]>> = {
  init: ['standby'],
  update_clients: ['init'],
  update_servers: ['update_clients'],
  standby: ['update_servers', 'rollback'],
  rollback: ['init', 'update_clients', 'update_servers'],
}

/** The record after the step, or why it cannot be taken. */
export function takeStep(record: StoredAuthority, step: Step, fresh: NewRotation): StepResult {
  const { type, key, rotation, rotated } = record
  const present = phaseOf(record)
  const allowed = from[step.phase]
  if (!allowed.includes(present)) return { ok: false, reason: refusal(type, present, step.phase) }
  const now = fresh.now.toISOString()
  const kept = rotated === undefined ? {} : { rotated }
  if (rotation === undefined) {
    const made = fresh.makeKey()
    if (step.gracePeriod === 0) return { ok: true, record: { type, key: made, rotated: now } }
    const { mode, gracePeriod } = step
    const begun = {
      id: fresh.id,
      phase: 'init' as const,
      mode,
      key: made,
      started: now,
      phaseStarted: now,
      gracePeriod,
    }
    return { ok: true, record: { type, key, rotation: begun, ...kept } }
  }
  switch (step.phase) {
    case 'standby': {
      const done = present === 'rollback' ? { type, key, ...kept } : { type, key: rotation.key, rotated: now }
      return { ok: true, record: done }
    }
    case 'rollback':
      return {
        ok: true,
        // The way back is taken by hand: what made somebody turn round should be understood before anything is thrown away.
        record: { type, key, ...kept, rotation: { ...rotation, phase: 'rollback', mode: 'manual', phaseStarted: now } },
      }
    case 'init':
    case 'update_clients':
    case 'update_servers':
      return {
        ok: true,
        record: {
          type,
          key,
          ...kept,
          rotation: { ...rotation, phase: step.phase, mode: step.mode, phaseStarted: now },
        },
      }
    default:
      return assertNever(step.phase)
  }
}

function refusal(type: string, present: Phase, wanted: Phase): string {
  if (present === 'standby') {
    const begin = 'begin a rotation with: tctl auth rotate --manual --phase=init'
    return `the ${type} authority is not being rotated, so it cannot go to ${wanted}; ${begin}`
  }
  if (wanted === 'init')
    return `the ${type} authority is being rotated already (phase ${present}); finish that rotation, or take it back with --phase=rollback`
  const ways = phases.filter((phase) => from[phase].includes(present)).join(' or ')
  return `the ${type} authority is in the phase ${present}, from which it can go to ${ways}, not to ${wanted}`
}
