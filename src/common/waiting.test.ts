import { describe, expect, test } from 'vitest'
import { Backoff } from './backoff.ts'
import { fakeEnv } from './fake-env.ts'
import { RateLimiter } from './limiter.ts'
import { withDeadline, withTimeout } from './timeout.ts'

const never = new Promise<never>(() => undefined)

describe('backoff', () => {
  test('grows, stays within bounds, starts again after a success', () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 1000 }, fakeEnv())
    for (const step of [100, 200, 400, 800, 1000, 1000, 1000]) {
      const ms = backoff.nextMs()
      expect(ms).toBeGreaterThanOrEqual(step / 2)
      expect(ms).toBeLessThanOrEqual(step)
    }
    backoff.reset()
    expect(backoff.nextMs()).toBeLessThanOrEqual(100)
  })
  test('is spread', () => {
    const values = Array.from({ length: 100 }, () =>
      new Backoff({ initialMs: 100_000, maxMs: 100_000 }, fakeEnv()).nextMs(),
    )
    expect(new Set(values).size).toBeGreaterThan(90)
  })
  test('many attempts do not overflow', () => {
    const backoff = new Backoff({ initialMs: 1, maxMs: 5000, factor: 10 }, fakeEnv())
    for (let n = 0; n < 500; n++) expect(backoff.nextMs()).toBeLessThanOrEqual(5000)
  })
})

describe('time-outs', () => {
  test('a result in time', async () => {
    const env = fakeEnv()
    await expect(withTimeout(Promise.resolve(7), 1000, 'it', env)).resolves.toBe(7)
    expect(env.sleeping()).toBe(0)
  })
  test('too late', async () => {
    const env = fakeEnv()
    const result = expect(withTimeout(never, 30_000, 'the handshake', env)).rejects.toMatchObject({
      kind: 'ConnectionProblem',
      message: 'the handshake timed out after 30s',
    })
    await env.advance(30_000)
    await result
  })
  test('the work is told', async () => {
    const env = fakeEnv()
    let signal: AbortSignal | undefined
    const result = expect(
      withDeadline(
        (given) => {
          signal = given
          return never
        },
        10,
        'it',
        env,
      ),
    ).rejects.toThrow('it timed out')
    await env.advance(10)
    await result
    expect(signal?.aborted).toBe(true)
  })
  test('the outer signal ends it with its own reason', async () => {
    const controller = new AbortController()
    const env = fakeEnv()
    const result = expect(withDeadline(() => never, 1000, 'it', env, controller.signal)).rejects.toThrow('enough')
    controller.abort(new Error('enough'))
    await result
    expect(env.sleeping()).toBe(0)
    await expect(withDeadline(() => never, 1000, 'it', env, controller.signal)).rejects.toThrow('enough')
  })
  test('an error of the work passes unchanged', async () => {
    await expect(withTimeout(Promise.reject(new Error('own')), 1000, 'it', fakeEnv())).rejects.toThrow('own')
  })
})

describe('rate limits', () => {
  test('a burst, then as many as come back, each key alone', async () => {
    const env = fakeEnv()
    const limiter = new RateLimiter({ burst: 3, perSecond: 0.5 }, env)
    expect([1, 2, 3, 4].map(() => limiter.take('a'))).toEqual([true, true, true, false])
    expect(limiter.take('b')).toBe(true)
    await env.advance(1999)
    expect(limiter.take('a')).toBe(false)
    await env.advance(1)
    expect(limiter.take('a')).toBe(true)
    expect(limiter.take('a')).toBe(false)
    await env.advance(1_000_000)
    expect([1, 2, 3, 4].map(() => limiter.take('a'))).toEqual([true, true, true, false])
    limiter.reset('a')
    expect(limiter.take('a')).toBe(true)
  })
  test('the refusal says when to come back', () => {
    const limiter = new RateLimiter({ burst: 1, perSecond: 0.05 }, fakeEnv())
    limiter.check('a', 'logins from this address')
    expect(() => limiter.check('a', 'logins from this address')).toThrow(
      'too many logins from this address; try again in 20s',
    )
  })
  test('keys in memory are bounded, names of the prototype are only keys', () => {
    const limiter = new RateLimiter({ burst: 2, perSecond: 0, maxKeys: 100 }, fakeEnv())
    for (let n = 0; n < 10_000; n++) limiter.take(`k${n}`)
    expect(limiter.size).toBe(100)
    expect([limiter.take('__proto__'), limiter.take('__proto__'), limiter.take('__proto__')]).toEqual([
      true,
      true,
      false,
    ])
  })
})
