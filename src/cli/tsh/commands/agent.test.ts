import { expect, test } from 'vitest'
import { fakeEnv } from '../../../common/fake-env.ts'
import { expiry } from './agent.ts'

test('the agent ends with the certificate, not before, and not after the clock was put forward', async () => {
  const env = fakeEnv()
  let ended = false
  const end = new Date(env.now().getTime() + 90_000)
  void expiry(end, env, new AbortController().signal).then(() => {
    ended = true
  })
  await env.advance(89_999)
  expect(ended).toBe(false)
  await env.advance(1)
  expect(ended).toBe(true)
  const stop = new AbortController()
  const other = expiry(new Date(env.now().getTime() + 60_000), env, stop.signal)
  stop.abort()
  await other
})
