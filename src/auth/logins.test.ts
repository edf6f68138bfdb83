/** Passwords, codes, locks and links (SECURITY W9, W10, W11, V21). */

import { Secret, TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { parseCertificateLine } from '../api/lines.ts'
import {
  acceptInvite,
  createUser,
  deleteUser,
  getAuthPreference,
  getInvite,
  login,
  putAuthPreference,
  putRole,
  putUser,
  renewUser,
  resetUser,
  setPassword,
  signUser,
} from '../api/routes.ts'
import { AccessDenied, BadParameter, CompareFailed, LimitExceeded, NotFound, SystemError } from '../errors/errors.ts'
import { newKey } from './testing/cluster.ts'
import { adminCaller, machineCaller, type TestServices, testServices } from './testing/services.ts'

const password = 'correct horse battery'
const client = { address: '203.0.113.7' }

interface Signed {
  readonly secret: string
  code(steps?: number): string
}

/** A user who followed the invite link. */
async function signUp(bench: TestServices, name = 'alice', roles = ['access']): Promise<Signed> {
  const { invite } = await bench
    .as(adminCaller)
    .call(createUser, { body: { name, roles, traits: { logins: ['root'] }, inviteTtlSeconds: 600 } })
  const proxy = bench.as(machineCaller('Proxy'))
  const token = invite?.token ?? ''
  const { otp } = await proxy.call(getInvite, { body: { token, client } })
  const secret = otp?.secret ?? ''
  const code = (steps = 0) =>
    new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: bench.env.now().getTime() + steps * 30_000 })
  await proxy.call(acceptInvite, { body: { token, password, otp: code(), client } })
  await bench.env.advance(60_000)
  return { secret, code }
}

const tryLogin = (
  bench: TestServices,
  change: Partial<{ user: string; password: string; otp: string; address: string }> = {},
) =>
  bench.as(machineCaller('Proxy')).call(login, {
    body: {
      user: change.user ?? 'alice',
      password: change.password ?? password,
      ...(change.otp === undefined ? {} : { otp: change.otp }),
      publicKey: newKey().line,
      client: { address: change.address ?? client.address },
    },
  })

describe('one-time codes (W9)', () => {
  test.each([
    { steps: -2, ok: false },
    { steps: -1, ok: true },
    { steps: 0, ok: true },
    { steps: 1, ok: true },
    { steps: 2, ok: false },
  ])('a code of $steps steps: $ok', async ({ steps, ok }) => {
    const bench = await testServices()
    const { code } = await signUp(bench)
    const result = await tryLogin(bench, { otp: code(steps) }).then(
      () => true,
      () => false,
    )
    expect(result).toBe(ok)
  })

  test('of ten logins with one code at the same time, one succeeds', async () => {
    const bench = await testServices({ lockout: { failures: 100, windowMs: 1000, lockMs: 1000 } })
    const { code } = await signUp(bench)
    const otp = code()
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => tryLogin(bench, { otp })))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expect(tryLogin(bench, { otp, address: '198.51.100.9' })).rejects.toThrow(AccessDenied)
  })

  test('the code that enrolled the device does not log in', async () => {
    const bench = await testServices()
    const { code } = await signUp(bench)
    await expect(tryLogin(bench, { otp: code(-2) })).rejects.toThrow(AccessDenied)
  })
})

describe('lockout (W10)', () => {
  test('five failures lock for twenty minutes, the right password included; a name that does not exist locks alike', async () => {
    const bench = await testServices()
    const { code } = await signUp(bench)
    for (const user of ['alice', 'nobody']) {
      const texts = new Set<string>()
      for (let i = 0; i < 5; i++) {
        const error = await tryLogin(bench, { user, password: 'wrong', otp: code() }).catch((caught: Error) => caught)
        expect(error).toBeInstanceOf(AccessDenied)
        texts.add((error as Error).message)
      }
      expect(texts).toEqual(new Set(['access denied: wrong user name, password or code']))
      const locked = tryLogin(bench, { user, otp: code() })
      await expect(locked).rejects.toThrow(LimitExceeded)
      await expect(locked).rejects.toThrow('too many failed logins of this user; try again in 20 minutes')
    }
    await bench.env.advance(20 * 60_000 + 1000)
    await expect(tryLogin(bench, { otp: code() })).resolves.toMatchObject({ logins: ['root'] })
  })

  test('guesses at the same time count one by one', async () => {
    const bench = await testServices()
    const { code } = await signUp(bench)
    const guesses = Array.from({ length: 12 }, () => tryLogin(bench, { password: 'wrong', otp: code() }))
    const kinds = (await Promise.allSettled(guesses)).map(
      (result) => result.status === 'rejected' && result.reason.kind,
    )
    expect(kinds.filter((kind) => kind === 'AccessDenied')).toHaveLength(5)
    expect(kinds.filter((kind) => kind === 'LimitExceeded')).toHaveLength(7)
  })

  test('one address that fails with many names is slowed down', async () => {
    const bench = await testServices()
    await signUp(bench)
    const kinds: string[] = []
    for (let i = 0; i < 25; i++) {
      await tryLogin(bench, { user: `user${i}`, password: 'wrong' }).catch((error) => kinds.push(error.kind))
    }
    expect(kinds.filter((kind) => kind === 'LimitExceeded').length).toBeGreaterThan(3)
  })

  test('every refusal is in the audit log with its true reason, and no password is', async () => {
    const bench = await testServices()
    const { code } = await signUp(bench)
    await tryLogin(bench, { password: 'my secret guess' }).catch(() => undefined)
    await tryLogin(bench, { user: 'nobody', otp: code() }).catch(() => undefined)
    await tryLogin(bench, { otp: '000000' }).catch(() => undefined)
    const failures = bench.events.filter((event) => event.event === 'user.login')
    expect(failures).toMatchObject([
      { success: false, code: 'T1000W', error: 'wrong password', 'addr.remote': client.address },
      { success: false, error: 'there is no such user' },
      { success: false, error: 'wrong or used code' },
    ])
    expect(JSON.stringify(bench.events)).not.toMatch(/my secret guess|correct horse/)
  })

  test('an unknown name costs as much work as a known one', async () => {
    const lockout = { failures: 1000, windowMs: 1000, lockMs: 1000 }
    const bench = await testServices({ lockout }, undefined, {})
    await signUp(bench)
    const times: Record<string, number[]> = { alice: [], nobody: [] }
    // In turn, so that what else the machine does costs both the same.
    for (let i = 0; i < 11; i++) {
      for (const [user, list] of Object.entries(times)) {
        const begin = performance.now()
        await tryLogin(bench, { user, password: 'wrong', address: `198.51.100.${i}` }).catch(() => undefined)
        list.push(performance.now() - begin)
      }
    }
    const [known = 0, unknown = 0] = Object.values(times).map((list) => list.sort((a, b) => a - b)[5])
    // Without the fake hash the ratio would be twenty and more.
    expect(Math.max(known, unknown) / Math.min(known, unknown)).toBeLessThan(4)
  })
})

describe('links (W11)', () => {
  const invited = async (bench: TestServices) => {
    const { invite } = await bench
      .as(adminCaller)
      .call(createUser, { body: { name: 'alice', roles: ['access'], traits: {}, inviteTtlSeconds: 600 } })
    return invite ?? { token: '', url: '', expires: '', user: '' }
  }

  test('a link comes from the configuration and has 128 bits', async () => {
    const bench = await testServices({ webAddress: 'proxy.example.com:443' })
    const { url } = await invited(bench)
    expect(url).toMatch(/^https:\/\/proxy\.example\.com:443\/web\/invite\/[0-9a-f]{32}$/)
  })

  test('of ten at the same time, one uses it; it expires; a wrong one tells nothing else', async () => {
    const bench = await testServices({ secondFactor: 'off' })
    const proxy = bench.as(machineCaller('Proxy'))
    const { token } = await invited(bench)
    const accept = (secret: string) => proxy.call(acceptInvite, { body: { token: secret, password, client } })
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => accept(token)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const link = await bench.as(adminCaller).call(resetUser, { params: { name: 'alice' }, body: { ttlSeconds: 60 } })
    await bench.env.advance(61_000)
    const texts = await Promise.all([token, link.token, 'guess'].map((secret) => accept(secret).catch(String)))
    expect(new Set(texts).size).toBe(1)
    expect(texts[0]).toMatch(/expired, was used, or never existed/)
  })

  test.each([
    { made: 'on', now: 'webauthn', offers: { otp: false, webauthn: true }, says: /takes security keys only/ },
    { made: 'webauthn', now: 'otp', offers: undefined, says: /ask for another link/ },
    { made: 'webauthn', now: 'on', offers: { otp: false, webauthn: true }, says: /ask for another link/ },
    { made: 'otp', now: 'optional', offers: { otp: true, webauthn: true }, says: undefined },
    { made: 'otp', now: 'off', offers: { otp: false, webauthn: false }, says: undefined },
  ] as const)('a link made under $made and followed under $now goes by what holds now', async (row) => {
    const { made, now, offers, says } = row
    const bench = await testServices({ webAddress: 'proxy.example.com:443' })
    const proxy = bench.as(machineCaller('Proxy'))
    const set = async (secondFactor: 'off' | 'otp' | 'webauthn' | 'on' | 'optional') => {
      const { spec } = await bench.as(adminCaller).call(getAuthPreference)
      const body = { spec: { ...spec, secondFactor }, overwrite: true, confirm: true }
      await bench.as(adminCaller).call(putAuthPreference, { body })
    }
    await set(made)
    const { token } = await invited(bench)
    await set(now)
    const opened = proxy.call(getInvite, { body: { token, client } })
    const offered = opened.then(({ otp, webauthn }) => ({ otp: otp !== undefined, webauthn }))
    if (offers === undefined) await expect(offered).rejects.toThrow(says)
    else await expect(offered).resolves.toEqual(offers)
    const accepted = proxy.call(acceptInvite, { body: { token, client, password } })
    if (says === undefined) await expect(accepted).resolves.toMatchObject({ user: 'alice' })
    else await expect(accepted).rejects.toThrow(says)
  })

  test('a weak password or a wrong code leaves the link good', async () => {
    const bench = await testServices()
    const proxy = bench.as(machineCaller('Proxy'))
    const { token } = await invited(bench)
    const accept = (fields: { password: string; otp?: string }) =>
      proxy.call(acceptInvite, { body: { token, client, ...fields } })
    await expect(accept({ password: 'short' })).rejects.toThrow(/at least 12/)
    await expect(accept({ password: 'aaaaaaaaaaaaaaa' })).rejects.toThrow(BadParameter)
    await expect(accept({ password })).rejects.toThrow(/a code of the second factor is needed/)
    await expect(accept({ password, otp: '123456' })).rejects.toThrow(/the code is not right/)
    await expect(proxy.call(getInvite, { body: { token, client } })).resolves.toMatchObject({ user: 'alice' })
  })

  test('guessing links from one address is slowed down', async () => {
    const bench = await testServices()
    const proxy = bench.as(machineCaller('Proxy'))
    const kinds: string[] = []
    for (let i = 0; i < 30; i++) {
      await proxy.call(getInvite, { body: { token: `guess${i}`, client } }).catch((error) => kinds.push(error.kind))
    }
    expect(new Set(kinds)).toEqual(new Set(['NotFound', 'LimitExceeded']))
  })

  test('a reset takes the old password and device away at once, and ends a lock', async () => {
    const bench = await testServices()
    const { code } = await signUp(bench)
    for (let i = 0; i < 5; i++) await tryLogin(bench, { password: 'x', otp: code() }).catch(() => undefined)
    await bench.as(adminCaller).call(resetUser, { params: { name: 'alice' }, body: {} })
    await expect(tryLogin(bench, { otp: code() })).rejects.toThrow(AccessDenied)
  })

  test('a removed user takes the invite along', async () => {
    const bench = await testServices()
    const { token } = await invited(bench)
    await bench.as(adminCaller).call(deleteUser, { params: { name: 'alice' } })
    await invited(bench)
    const proxy = bench.as(machineCaller('Proxy'))
    await expect(proxy.call(getInvite, { body: { token, client } })).rejects.toThrow(NotFound)
  })
})

describe('certificates hold no more than the roles give (V21)', () => {
  test('lifetime is clamped, by the limit, by the roles, and by the certificate that renews', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    await admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
    const sign = (ttlSeconds: number) =>
      admin.call(signUser, { body: { user: 'alice', publicKey: newKey().line, ttlSeconds } })
    const hours = (text: string) => (Date.parse(text) - bench.env.now().getTime()) / 3_600_000
    const tenYears = await sign(315_360_000)
    expect(hours(tenYears.validBefore)).toBeCloseTo(30, 3)
    expect(hours((await sign(1)).validBefore) * 60).toBeCloseTo(1, 1)
    const short = await sign(600)
    const alice = bench.as(bench.user(short))
    const renewed = await alice.call(renewUser, { body: { publicKey: newKey().line, ttlSeconds: 315_360_000 } })
    expect(Date.parse(renewed.validBefore)).toBeLessThanOrEqual(Date.parse(short.validBefore))
    const role = {
      kind: 'role' as const,
      version: 'v4',
      metadata: { name: 'access' },
      spec: {
        options: { max_session_ttl: '1h' },
        allow: { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } },
      },
    }
    await admin.call(putRole, { params: { name: 'access' }, body: { role } })
    expect(hours((await sign(315_360_000)).validBefore)).toBeCloseTo(1, 3)
  })

  test('weak and unknown keys are refused', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    await admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: {} } })
    for (const publicKey of ['ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC3', 'ssh-dss AAAA', 'x', '']) {
      await expect(admin.call(signUser, { body: { user: 'alice', publicKey } })).rejects.toThrow(BadParameter)
    }
  })

  test('without logins there is a principal that no system has', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    await admin.call(createUser, { body: { name: 'edith', roles: ['editor'], traits: {} } })
    const got = await admin.call(signUser, { body: { user: 'edith', publicKey: newKey().line } })
    expect(got.logins).toEqual([])
    expect(parseCertificateLine(got.certificate).principals).toEqual([expect.stringMatching(/^-teleport-nologin-/)])
  })
})

describe('users', () => {
  test('of two editors one wins, and the other hears of it (A10, F18)', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    const { user } = await admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: {} } })
    const edit = (role: string) =>
      admin.call(putUser, { params: { name: 'alice' }, body: { roles: [role], traits: {}, revision: user.revision } })
    const results = await Promise.allSettled([edit('editor'), edit('auditor')])
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused).toHaveLength(1)
    expect(refused[0]?.reason).toBeInstanceOf(CompareFailed)
  })

  test('of ten who make the same user at once, one does (F18)', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    const make = () => admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: {} } })
    const results = await Promise.allSettled(Array.from({ length: 10 }, make))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test.each(['-x', 'a b', 'a/../root', 'root\n', 'x'.repeat(200), 'а'])('%j is no user name', async (name) => {
    const bench = await testServices()
    const made = bench.as(adminCaller).call(createUser, { body: { name, roles: ['access'], traits: {} } })
    await expect(made).rejects.toThrow(BadParameter)
  })

  test('what cannot be audited does not happen (F11)', async () => {
    const bench = await testServices()
    const { code } = await signUp(bench)
    const admin = bench.as(adminCaller)
    bench.auditFailure = new SystemError('ENOSPC', 'cannot write to events.sqlite: no space left on the device')
    await expect(tryLogin(bench, { otp: code() })).rejects.toThrow(/no space left/)
    await expect(admin.call(signUser, { body: { user: 'alice', publicKey: newKey().line } })).rejects.toThrow(
      /no space/,
    )
    await expect(admin.call(createUser, { body: { name: 'bob', roles: ['access'], traits: {} } })).rejects.toThrow(
      /no space/,
    )
    await expect(admin.call(deleteUser, { params: { name: 'alice' } })).rejects.toThrow(/no space/)
    bench.auditFailure = undefined
    await bench.env.advance(30_000)
    await expect(tryLogin(bench, { otp: code() })).resolves.toBeDefined()
    await expect(bench.services.users.get('bob')).rejects.toThrow(NotFound)
  })

  test('an administrator sets a password; six characters only where the file says so', async () => {
    const bench = await testServices({ secondFactor: 'off', minPasswordLength: 6 })
    const admin = bench.as(adminCaller)
    await admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
    const set = (secret: string) => admin.call(setPassword, { params: { name: 'alice' }, body: { password: secret } })
    await expect(set('five5')).rejects.toThrow(/at least 6/)
    await set('six6six')
    await expect(tryLogin(bench, { password: 'six6six' })).resolves.toMatchObject({ logins: ['root'] })
  })
})
