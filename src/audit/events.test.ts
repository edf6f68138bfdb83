import { expect, test } from 'vitest'
import { type EventInput, type EventName, eventNames, newEvent } from './events.ts'

/** All that decides about a code. */
const outcomes = [{}, { success: false }, { action: 'upload' }, { action: 'upload', success: false }]

const codesOf = (event: EventName): readonly string[] => {
  const env = { now: () => new Date(0), randomUuid: () => '' }
  const told = outcomes.map((outcome): unknown => ({ event, cluster_name: 'feat', ...outcome }))
  return [...new Set(told.map((input) => newEvent(env, input as EventInput<EventName>).code))]
}

test('a code belongs to one event: rules and searches of auditors go by it', () => {
  const owners = Map.groupBy(
    eventNames.flatMap((event) => codesOf(event).map((code) => ({ event, code }))),
    ({ code }) => code,
  )
  expect([...owners.values()].filter((events) => events.length > 1)).toEqual([])
})
