import { describe, expect, test } from 'vitest'
import { authorityText, waitingRows } from './rotation-text.ts'

const now = new Date('2026-11-28T13:02:00Z')
const started = '2026-11-28T13:00:00Z'

describe('an authority in tctl status', () => {
  test.each([
    { name: 'that was never rotated', value: {}, text: 'never updated' },
    { name: 'rotated a while ago', value: { rotated: started }, text: 'rotated 2 minutes ago' },
    {
      name: 'rotated by a clock that is ahead',
      value: { rotated: '2026-11-28T14:00:00Z' },
      text: 'rotated 0 seconds ago',
    },
    {
      name: 'in automatic mode',
      value: {
        rotation: {
          phase: 'update_clients' as const,
          mode: 'auto' as const,
          started,
          nextPhase: '2026-11-28T23:02:00Z',
          ends: '2026-11-29T09:02:00Z',
        },
      },
      text: 'rotation in progress: phase update_clients, next phase in 10 hours, until 29 Nov 26 09:02 UTC',
    },
    {
      name: 'whose next phase is late',
      value: {
        rotation: { phase: 'init' as const, mode: 'auto' as const, started, nextPhase: started, ends: started },
      },
      text: 'rotation in progress: phase init, next phase is due, until 28 Nov 26 13:00 UTC',
    },
    {
      name: 'by hand, after an earlier one',
      value: { rotated: started, rotation: { phase: 'rollback' as const, mode: 'manual' as const, started } },
      text: 'rotation in progress: phase rollback, by hand',
    },
  ])('$name', ({ value, text }) => expect(authorityText(value, now)).toBe(text))
})

test('machines that are waited for: the first ten, and how many more', () => {
  const machine = (n: number) => ({
    uuid: '11111111-1111-4111-8111-111111111111',
    role: 'node' as const,
    hostname: `n${n}`,
    reason: 'has not heard of it',
  })
  const report = (count: number) => ({
    authorities: [],
    waitingFor: Array.from({ length: Math.min(count, 100) }, (_, n) => machine(n)),
    waitingForCount: count,
  })
  expect(waitingRows(report(0))).toEqual([])
  expect(waitingRows(report(1))).toEqual([
    ['Waiting for', 'node n0 (11111111-1111-4111-8111-111111111111): has not heard of it'],
  ])
  expect(waitingRows(report(250))).toHaveLength(11)
  expect(waitingRows(report(250)).at(-1)).toEqual(['Waiting for', '240 more'])
})
