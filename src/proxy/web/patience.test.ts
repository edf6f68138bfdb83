import { describe, expect, test } from 'vitest'
import { fakeEnv } from '../../common/fake-env.ts'
import { AccessDenied, ConnectionProblem } from '../../errors/errors.ts'
import { patiently } from './patience.ts'

/** Fails with the errors in turn and then answers, or goes on with the last one. */
function work(errors: readonly Error[], forever = false) {
  const calls = { count: 0 }
  const run = async () => {
    const error = errors[calls.count] ?? (forever ? errors.at(-1) : undefined)
    calls.count++
    if (error !== undefined) throw error
    return 'answer'
  }
  return { run, calls }
}

const away = new ConnectionProblem('auth is away')
const denied = new AccessDenied('no')

describe('patiently', () => {
  test.each([
    { name: 'an answer is the answer', errors: [], calls: 1, ends: 'answer' },
    { name: 'who is away for a moment is waited for', errors: [away, away, away], calls: 4, ends: 'answer' },
    { name: 'a refusal is an answer', errors: [away, denied], calls: 2, ends: denied },
  ])('$name', async ({ errors, calls, ends }) => {
    const env = fakeEnv()
    const attempt = work(errors)
    const end = patiently(env, attempt.run).catch((error: unknown) => error)
    // Not before it sleeps.
    await env.advance(0)
    await env.advance(4_000)
    expect(await end).toBe(ends)
    expect(attempt.calls.count).toBe(calls)
  })

  test('who stays away is given up after ten seconds', async () => {
    const env = fakeEnv()
    const attempt = work([away], true)
    let ended: unknown
    const end = patiently(env, attempt.run).catch((error: unknown) => (ended = error))
    await env.advance(0)
    await env.advance(9_900)
    expect(ended).toBeUndefined()
    await env.advance(300)
    await end
    expect(ended).toBe(away)
  })

  test('whoever has gone is not waited for', async () => {
    const env = fakeEnv()
    const gone = new AbortController()
    const attempt = work([away], true)
    const end = patiently(env, attempt.run, gone.signal).catch((error: unknown) => error)
    await env.advance(0)
    await env.advance(1_000)
    const before = attempt.calls.count
    gone.abort(new Error('closed the page'))
    expect(await end).toBe(away)
    expect(attempt.calls.count).toBe(before)
    expect(env.sleeping()).toBe(0)
  })
})
