/** Second factors of every kind: enrolled, proved, refused (SECURITY W6, W9, W12). */

import { Secret, TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import type { Caller } from '../../api/caller.ts'
import type { CeremonyStart, MfaAction } from '../../api/mfa-model.ts'
import {
  acceptInvite,
  addMfaDevice,
  answerCeremony,
  beginInviteKey,
  beginLogin,
  beginMfaDevice,
  changePassword,
  createUser,
  getInvite,
  listMfaDevices,
  login,
  newRecoveryCodes,
  openCeremony,
  removeMfaDevice,
  resetUser,
  signUser,
  startCeremony,
  startLoginCeremony,
} from '../../api/routes.ts'
import { AccessDenied, BadParameter, LimitExceeded, NotFound } from '../../errors/errors.ts'
import type { AuthSettings } from '../settings.ts'
import { SoftKey } from '../testing/authenticator.ts'
import { newKey } from '../testing/cluster.ts'
import { adminCaller, machineCaller, type TestServices, testServices } from '../testing/services.ts'
import { migrateCredentials, migrateDevices } from './migration.ts'

const password = 'correct horse battery'
const newPassword = 'another horse, another battery'
const client = { address: '203.0.113.7' }
const origin = 'https://proxy.example.com:3080'
const callback = { host: '127.0.0.1', port: 4000, state: '0'.repeat(32) } as const

const cluster = (settings: Partial<AuthSettings> = {}) =>
  testServices({ secondFactor: 'on', webAddress: 'proxy.example.com:3080', ...settings })

const proxy = (bench: TestServices) => bench.as(machineCaller('Proxy'))

const codeOf = (bench: TestServices, secret: string, steps = 0) =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: bench.env.now().getTime() + steps * 30_000 })

interface Person {
  readonly name: string
  readonly key: SoftKey
  readonly secret: string
  readonly recoveryCodes: readonly string[]
  readonly caller: Caller
}

/** A user who signed up with an app, or with a key. */
async function person(bench: TestServices, name: string, kind: 'app' | 'key' = 'key'): Promise<Person> {
  const admin = bench.as(adminCaller)
  const { invite } = await admin.call(createUser, {
    body: { name, roles: ['access'], traits: { logins: ['root'] }, inviteTtlSeconds: 600 },
  })
  const token = invite?.token ?? ''
  const key = new SoftKey(origin)
  const { otp } = await proxy(bench).call(getInvite, { body: { token, client } })
  const secret = otp?.secret ?? ''
  const factor =
    kind === 'app'
      ? { otp: codeOf(bench, secret) }
      : { webauthn: key.create(await proxy(bench).call(beginInviteKey, { body: { token, client } })) }
  const { recoveryCodes = [] } = await proxy(bench).call(acceptInvite, { body: { token, password, client, ...factor } })
  await bench.env.advance(60_000)
  const credentials = await admin.call(signUser, { body: { user: name, publicKey: newKey().line } })
  return { name, key, secret, recoveryCodes, caller: bench.user(credentials) }
}

const begin = async (bench: TestServices, user: string) => {
  const { webauthn } = await proxy(bench).call(beginLogin, { body: { user, password, client } })
  if (webauthn === undefined) throw new Error('no challenge')
  return webauthn
}

const tryLogin = (
  bench: TestServices,
  user: string,
  proof: Readonly<Record<string, unknown>>,
  publicKey = newKey().line,
) => proxy(bench).call(login, { body: { user, password, publicKey, client, ...proof } })

describe('security keys', () => {
  test('enrolled with an invite, a key logs in; the event names it', async () => {
    const bench = await cluster()
    const { key } = await person(bench, 'alice')
    const done = await tryLogin(bench, 'alice', { webauthn: key.get(await begin(bench, 'alice')) })
    expect(done.logins).toEqual(['root'])
    expect(bench.events.findLast(({ event }) => event === 'user.login')).toMatchObject({
      success: true,
      mfa_method: 'webauthn',
      mfa_device_name: 'security key',
    })
    expect(bench.events.find(({ event }) => event === 'mfa.add')).toMatchObject({ code: 'T1006I', user: 'alice' })
  })

  test('a challenge is good once, right or wrong, and for a while (W12)', async () => {
    const bench = await cluster()
    const { key } = await person(bench, 'alice')
    const challenge = await begin(bench, 'alice')
    const answer = key.get(challenge)
    await tryLogin(bench, 'alice', { webauthn: answer })
    await expect(tryLogin(bench, 'alice', { webauthn: answer })).rejects.toThrow(AccessDenied)
    await expect(tryLogin(bench, 'alice', { webauthn: key.get(challenge) })).rejects.toThrow(AccessDenied)
    const late = await begin(bench, 'alice')
    await bench.env.advance(181_000)
    await expect(tryLogin(bench, 'alice', { webauthn: key.get(late) })).rejects.toThrow(AccessDenied)
    const parallel = key.get(await begin(bench, 'alice'))
    const results = await Promise.allSettled([1, 2, 3].map(() => tryLogin(bench, 'alice', { webauthn: parallel })))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test.each([
    { name: 'of another origin', lie: { origin: 'https://evil.example.com' } },
    { name: 'of the same host without TLS', lie: { origin: 'http://proxy.example.com:3080' } },
    { name: 'of another port', lie: { origin: 'https://proxy.example.com:9999' } },
    { name: 'for another relying party', lie: { rpId: 'evil.example.com' } },
    { name: 'for a challenge that was not given', lie: { challenge: 'AAAA' } },
  ])('an answer $name is refused (W12)', async ({ lie }) => {
    const bench = await cluster()
    const { key } = await person(bench, 'alice')
    const challenge = await begin(bench, 'alice')
    await expect(tryLogin(bench, 'alice', { webauthn: key.get(challenge, lie) })).rejects.toThrow(AccessDenied)
  })

  test('a counter that does not grow is refused: the key may have been copied', async () => {
    const bench = await cluster()
    const { key } = await person(bench, 'alice')
    await tryLogin(bench, 'alice', { webauthn: key.get(await begin(bench, 'alice')) })
    const old = key.get(await begin(bench, 'alice'), { counter: 1 })
    await expect(tryLogin(bench, 'alice', { webauthn: old })).rejects.toThrow(AccessDenied)
    expect(bench.events.at(-1)).toMatchObject({ success: false, error: expect.stringMatching(/counter/) })
  })

  test('an enrolment from another origin, or with a challenge of another link, is refused', async () => {
    const bench = await cluster()
    const admin = bench.as(adminCaller)
    const invite = async (name: string) => {
      const body = { name, roles: ['access'], traits: {}, inviteTtlSeconds: 600 }
      return (await admin.call(createUser, { body })).invite?.token ?? ''
    }
    const [mine, other] = [await invite('alice'), await invite('mallory')]
    const key = new SoftKey(origin)
    const accept = async (from: string, lie = {}) => {
      const challenge = await proxy(bench).call(beginInviteKey, { body: { token: from, client } })
      const webauthn = key.create(challenge, lie)
      return await proxy(bench).call(acceptInvite, { body: { token: mine, password, webauthn, client } })
    }
    await expect(accept(mine, { origin: 'https://evil.example.com' })).rejects.toThrow(BadParameter)
    await expect(accept(other)).rejects.toThrow(BadParameter)
    await expect(accept(mine)).resolves.toMatchObject({ user: 'alice' })
  })
})

describe('half a login (W6)', () => {
  test("one user's password never goes with another's factor", async () => {
    const bench = await cluster()
    const alice = await person(bench, 'alice')
    const bob = await person(bench, 'bob', 'app')
    const mallory = await person(bench, 'mallory')
    // Mallory's challenge and key with Alice's password, Mallory's key for Alice's challenge, Bob's code.
    const own = mallory.key.get(await begin(bench, 'mallory'))
    await expect(tryLogin(bench, 'alice', { webauthn: own })).rejects.toThrow(AccessDenied)
    const foreign = mallory.key.get(await begin(bench, 'alice'))
    await expect(tryLogin(bench, 'alice', { webauthn: foreign })).rejects.toThrow(AccessDenied)
    await expect(tryLogin(bench, 'alice', { otp: codeOf(bench, bob.secret) })).rejects.toThrow(AccessDenied)
    await expect(tryLogin(bench, 'alice', { recoveryCode: bob.recoveryCodes[0] })).rejects.toThrow(AccessDenied)
    await expect(
      tryLogin(bench, 'alice', { webauthn: alice.key.get(await begin(bench, 'alice')) }),
    ).resolves.toBeDefined()
  })

  test('a right password wins no new tries for the second factor', async () => {
    const bench = await cluster()
    await person(bench, 'alice', 'app')
    for (let i = 0; i < 5; i++) {
      await proxy(bench).call(beginLogin, { body: { user: 'alice', password, client } })
      await expect(tryLogin(bench, 'alice', { otp: '000000' })).rejects.toThrow(AccessDenied)
    }
    await expect(proxy(bench).call(beginLogin, { body: { user: 'alice', password, client } })).rejects.toThrow(
      LimitExceeded,
    )
  })

  test('without the right password nothing is told, and where codes are the only factor, nothing at all', async () => {
    const bench = await cluster()
    await person(bench, 'alice')
    for (const user of ['alice', 'nobody']) {
      const wrong = proxy(bench).call(beginLogin, { body: { user, password: 'wrong password', client } })
      await expect(wrong).rejects.toThrow('access denied: wrong user name, password or code')
    }
    const codes = await cluster({ secondFactor: 'otp' })
    const refused = proxy(codes).call(beginLogin, { body: { user: 'alice', password, client } })
    await expect(refused).rejects.toThrow(BadParameter)
  })
})

describe('settings', () => {
  test.each([
    { secondFactor: 'otp', app: true, key: false },
    { secondFactor: 'webauthn', app: false, key: true },
    { secondFactor: 'on', app: true, key: true },
    { secondFactor: 'optional', app: true, key: true },
  ] as const)('second_factor $secondFactor: app $app, key $key', async ({ secondFactor, app, key }) => {
    const bench = await cluster({ secondFactor })
    const body = { name: 'alice', roles: ['access'], traits: {}, inviteTtlSeconds: 600 }
    const { invite } = await bench.as(adminCaller).call(createUser, { body })
    const opened = await proxy(bench).call(getInvite, { body: { token: invite?.token ?? '', client } })
    expect([opened.otp !== undefined, opened.webauthn]).toEqual([app, key])
    const without = proxy(bench).call(acceptInvite, { body: { token: invite?.token ?? '', password, client } })
    if (secondFactor !== 'optional') return await expect(without).rejects.toThrow(BadParameter)
    await expect(without).resolves.toEqual({ user: 'alice' })
    await expect(tryLogin(bench, 'alice', {})).resolves.toBeDefined()
  })

  test('a proxy known by its address only takes no keys, and says what to do', async () => {
    const bench = await cluster({ webAddress: '10.0.0.1:3080' })
    await expect(person(bench, 'alice')).rejects.toThrow(/security keys need a host name.*rp_id/)
  })
})

describe('devices of a user', () => {
  const add = { kind: 'add_device', device: 'totp', name: 'phone' } as const
  const addApp = async (bench: TestServices, who: Person, proof: object, action: typeof add = add) => {
    const api = bench.as(who.caller)
    const { totp } = await api.call(beginMfaDevice, { body: { action, proof } })
    const { secret = '', registration = '' } = totp ?? {}
    const body = { action, totp: { registration, code: codeOf(bench, secret) } }
    return { ...(await api.call(addMfaDevice, { body })), secret }
  }

  test('another one is added and removed with a proof, the last one stays', async () => {
    const bench = await cluster()
    const who = await person(bench, 'alice', 'app')
    const api = bench.as(who.caller)
    await expect(addApp(bench, who, {})).rejects.toThrow(AccessDenied)
    await expect(addApp(bench, who, { otp: '000000' })).rejects.toThrow(AccessDenied)
    const { device } = await addApp(bench, who, { otp: codeOf(bench, who.secret) })
    expect((await api.call(listMfaDevices)).items.map(({ name, kind }) => [name, kind])).toEqual([
      ['otp', 'totp'],
      ['phone', 'totp'],
    ])
    await bench.env.advance(60_000)
    const remove = (name: string, otp: string) => {
      const action = { kind: 'remove_device', device: name } as const
      return api.call(removeMfaDevice, { body: { action, proof: { otp } } })
    }
    await expect(remove('phone', '000000')).rejects.toThrow(AccessDenied)
    await expect(remove('nothing', codeOf(bench, who.secret))).rejects.toThrow(NotFound)
    await expect(remove(device.id, codeOf(bench, who.secret))).resolves.toMatchObject({ name: 'phone' })
    await bench.env.advance(60_000)
    await expect(remove('otp', codeOf(bench, who.secret))).rejects.toThrow(/last device/)
    const told = bench.events.filter(({ event }) => event.startsWith('mfa.')).map(({ code }) => code)
    expect(told).toEqual(['T1006I', 'T1006I', 'T1007I'])
  })

  test('a code is used up for every purpose and device at once (W9)', async () => {
    const bench = await cluster()
    const who = await person(bench, 'alice', 'app')
    const otp = codeOf(bench, who.secret)
    const uses = [
      tryLogin(bench, 'alice', { otp }),
      bench.as(who.caller).call(newRecoveryCodes, { body: { proof: { otp } } }),
      bench.as(who.caller).call(beginMfaDevice, { body: { action: add, proof: { otp } } }),
    ]
    const results = await Promise.allSettled<unknown>(uses)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('somebody without any factor proves the password before the first one', async () => {
    const bench = await cluster({ secondFactor: 'optional' })
    const body = { name: 'alice', roles: ['access'], traits: {}, inviteTtlSeconds: 600 }
    const { invite } = await bench.as(adminCaller).call(createUser, { body })
    await proxy(bench).call(acceptInvite, { body: { token: invite?.token ?? '', password, client } })
    const api = bench.as(bench.user(await tryLogin(bench, 'alice', {})))
    const start = (given?: string) =>
      api.call(beginMfaDevice, {
        body: { action: add, proof: {}, ...(given === undefined ? {} : { password: given }) },
      })
    await expect(start()).rejects.toThrow(AccessDenied)
    await expect(start('wrong password')).rejects.toThrow(AccessDenied)
    const { totp } = await start(password)
    const code = codeOf(bench, totp?.secret ?? '')
    const registration = totp?.registration ?? ''
    const added = await api.call(addMfaDevice, { body: { action: add, totp: { registration, code } } })
    expect(added.recoveryCodes).toHaveLength(8)
    await expect(tryLogin(bench, 'alice', {})).rejects.toThrow(AccessDenied)
  })

  test('proofs are locked as passwords are, apart from logins', async () => {
    const bench = await cluster()
    const who = await person(bench, 'alice', 'app')
    const guess = () => bench.as(who.caller).call(newRecoveryCodes, { body: { proof: { otp: '000000' } } })
    for (let i = 0; i < 5; i++) await expect(guess()).rejects.toThrow(AccessDenied)
    await expect(guess()).rejects.toThrow(LimitExceeded)
    await expect(tryLogin(bench, 'alice', { otp: codeOf(bench, who.secret) })).resolves.toBeDefined()
    expect(bench.events.filter(({ code }) => code === 'T1016W')).toHaveLength(6)
  })

  test('a reset removes password, devices and recovery codes', async () => {
    const bench = await cluster()
    const who = await person(bench, 'alice', 'app')
    await bench.as(adminCaller).call(resetUser, { params: { name: 'alice' }, body: {} })
    expect(await bench.as(who.caller).call(listMfaDevices)).toMatchObject({ items: [], recoveryCodes: 0 })
    await expect(tryLogin(bench, 'alice', { recoveryCode: who.recoveryCodes[0] })).rejects.toThrow(AccessDenied)
  })
})

describe('recovery codes', () => {
  test('eight are shown at sign-up; each logs in once and lets a new device in', async () => {
    const bench = await cluster()
    const { recoveryCodes, caller } = await person(bench, 'alice')
    expect(new Set(recoveryCodes).size).toBe(8)
    expect(recoveryCodes[0]).toMatch(/^([0-9a-z]{4}-){3}[0-9a-z]{4}$/)
    const [first = '', second = ''] = recoveryCodes
    await expect(
      tryLogin(bench, 'alice', { recoveryCode: first.toUpperCase().replaceAll('-', ' ') }),
    ).resolves.toBeDefined()
    await expect(tryLogin(bench, 'alice', { recoveryCode: first })).rejects.toThrow(AccessDenied)
    const action = { kind: 'add_device', device: 'totp', name: 'phone' } as const
    const proof = { recoveryCode: second }
    await expect(bench.as(caller).call(beginMfaDevice, { body: { action, proof } })).resolves.toHaveProperty('totp')
    const used = bench.events.filter(({ event }) => event === 'recovery_code.used')
    expect(used.map((event) => 'recovery_codes_left' in event && event.recovery_codes_left)).toEqual([7, 6])
    const stored = await bench.services.tables.credentials.find('alice')
    expect(JSON.stringify(stored?.value)).not.toContain(second.replaceAll('-', ''))
  })

  test('new ones make the old ones void', async () => {
    const bench = await cluster()
    const who = await person(bench, 'alice', 'app')
    const proof = { otp: codeOf(bench, who.secret) }
    const { codes } = await bench.as(who.caller).call(newRecoveryCodes, { body: { proof } })
    await expect(tryLogin(bench, 'alice', { recoveryCode: who.recoveryCodes[0] })).rejects.toThrow(AccessDenied)
    await expect(tryLogin(bench, 'alice', { recoveryCode: codes[0] })).resolves.toBeDefined()
  })
})

describe('ceremonies in a browser (C6)', () => {
  const codeIn = ({ redirect }: { redirect: string }) => new URL(redirect).searchParams.get('code') ?? ''
  const tap = async (bench: TestServices, { id }: CeremonyStart, key: SoftKey) => {
    const view = await proxy(bench).call(openCeremony, { body: { id, client } })
    if (view.get === undefined) throw new Error('nothing to answer')
    return await proxy(bench).call(answerCeremony, { body: { id, assertion: key.get(view.get), client } })
  }
  const startPassword = (bench: TestServices, secret = password) => {
    const action = { kind: 'change_password' } as const
    return proxy(bench).call(startLoginCeremony, {
      body: { user: 'alice', password: secret, action, callback, client },
    })
  }
  const change = (bench: TestServices, ceremony: Readonly<Record<'id' | 'secret' | 'code', string>>, user = 'alice') =>
    proxy(bench).call(changePassword, { body: { user, password, newPassword, ceremony, client } })

  test('another password: by who has no factor but a key, with the present one, once', async () => {
    const bench = await cluster()
    const { key, caller } = await person(bench, 'alice')
    await expect(startPassword(bench, 'wrong')).rejects.toThrow(AccessDenied)
    const { id, secret, ...begun } = await startPassword(bench)
    const view = await proxy(bench).call(openCeremony, { body: { id, client } })
    expect(view).toMatchObject({ user: 'alice', title: 'Change the password' })
    await expect(change(bench, { id, secret, code: '0'.repeat(32) })).rejects.toThrow(AccessDenied)
    const code = codeIn(await tap(bench, { id, secret, ...begun }, key))
    await change(bench, { id, secret, code })
    await expect(change(bench, { id, secret, code })).rejects.toThrow(AccessDenied)
    await expect(begin(bench, 'alice')).rejects.toThrow(AccessDenied)
    // A certificate alone does not begin one.
    const action = { kind: 'change_password' } as const
    await expect(bench.as(caller).call(startCeremony, { body: { action, callback } })).rejects.toThrow(BadParameter)
  })

  test("another password: not with a tap for something else, nor with another user's; and its tap is for nothing else", async () => {
    const bench = await cluster()
    const alice = await person(bench, 'alice')
    await person(bench, 'mallory')
    const action = { kind: 'recovery_codes' } as const
    const other = await bench.as(alice.caller).call(startCeremony, { body: { action, callback } })
    const foreign = { ...other, code: codeIn(await tap(bench, other, alice.key)) }
    const { id, secret, code } = foreign
    await expect(change(bench, { id, secret, code })).rejects.toThrow(AccessDenied)
    const tapped = async () => {
      const begun = await startPassword(bench)
      return { id: begun.id, secret: begun.secret, code: codeIn(await tap(bench, begun, alice.key)) }
    }
    await expect(change(bench, await tapped(), 'mallory')).rejects.toThrow(AccessDenied)
    // Nor does it log in.
    await expect(tryLogin(bench, 'alice', { ceremony: await tapped() })).rejects.toThrow(AccessDenied)
    await expect(begin(bench, 'alice')).resolves.toBeDefined()
  })

  const startLogin = (bench: TestServices, publicKey: string) => {
    const action = { kind: 'login', publicKey } as const
    return proxy(bench).call(startLoginCeremony, { body: { user: 'alice', password, action, callback, client } })
  }

  test('a login: id, secret and code together, once, for the key that was shown', async () => {
    const bench = await cluster()
    const { key } = await person(bench, 'alice')
    const publicKey = newKey().line
    const ceremony = await startLogin(bench, publicKey)
    expect(ceremony.url).toBe(`${origin}/web/mfa/${ceremony.id}`)
    const { id, secret } = ceremony
    const early = { ceremony: { id, secret, code: '0'.repeat(32) } }
    await expect(tryLogin(bench, 'alice', early, publicKey)).rejects.toThrow(AccessDenied)
    const answered = await tap(bench, ceremony, key)
    expect(answered.redirect).toMatch(/^http:\/\/127\.0\.0\.1:4000\/callback\?state=0{32}&code=[0-9a-f]{32}$/)
    const code = codeIn(answered)
    // Another process that caught the code and the id has no secret, and spoils nothing.
    const thief = { ceremony: { id, secret: 'f'.repeat(32), code } }
    await expect(tryLogin(bench, 'alice', thief, publicKey)).rejects.toThrow(AccessDenied)
    await expect(tryLogin(bench, 'alice', { ceremony: { id, secret, code } }, publicKey)).resolves.toBeDefined()
    await expect(tryLogin(bench, 'alice', { ceremony: { id, secret, code } }, publicKey)).rejects.toThrow(AccessDenied)
    await expect(tap(bench, ceremony, key)).rejects.toThrow(NotFound)
  })

  test.each([
    { name: 'another key pair', change: 'key' },
    { name: 'a wrong code', change: 'code' },
    { name: 'another user', change: 'user' },
  ])('with $name it opens nothing', async ({ change }) => {
    const bench = await cluster()
    const { key } = await person(bench, 'alice')
    await person(bench, 'bob')
    const publicKey = newKey().line
    const ceremony = await startLogin(bench, publicKey)
    const code = codeIn(await tap(bench, ceremony, key))
    const proof = { ...ceremony, code: change === 'code' ? '0'.repeat(32) : code }
    const given = { ceremony: { id: proof.id, secret: proof.secret, code: proof.code } }
    const user = change === 'user' ? 'bob' : 'alice'
    const line = change === 'key' ? newKey().line : publicKey
    await expect(tryLogin(bench, user, given, line)).rejects.toThrow(AccessDenied)
  })

  test('only a key of the user answers, and only within minutes', async () => {
    const bench = await cluster()
    const { key } = await person(bench, 'alice')
    const mallory = await person(bench, 'mallory')
    const ceremony = await startLogin(bench, newKey().line)
    await expect(tap(bench, ceremony, mallory.key)).rejects.toThrow(AccessDenied)
    expect(bench.events.at(-1)).toMatchObject({ code: 'T1016W', user: 'alice' })
    await bench.env.advance(301_000)
    await expect(tap(bench, ceremony, key)).rejects.toThrow(NotFound)
    await expect(tap(bench, { ...ceremony, id: '0'.repeat(32) }, key)).rejects.toThrow(NotFound)
  })

  test('a proof for one purpose is none for another, nor is that of another user', async () => {
    const bench = await cluster()
    const alice = await person(bench, 'alice')
    const bob = await person(bench, 'bob')
    const proved = async (who: Person, action: MfaAction) => {
      const ceremony = await bench.as(who.caller).call(startCeremony, { body: { action, callback } })
      const code = codeIn(await tap(bench, ceremony, who.key))
      return { ceremony: { id: ceremony.id, secret: ceremony.secret, code } }
    }
    const codes: MfaAction = { kind: 'recovery_codes' }
    const rename: MfaAction = { kind: 'remove_device', device: 'security key' }
    const use = async (who: Person, proof: object) => bench.as(who.caller).call(newRecoveryCodes, { body: { proof } })
    await expect(use(alice, await proved(alice, rename))).rejects.toThrow(AccessDenied)
    await expect(use(bob, await proved(alice, codes))).rejects.toThrow(AccessDenied)
    await expect(use(alice, await proved(alice, codes))).resolves.toHaveProperty('codes')
    const login: MfaAction = { kind: 'login', publicKey: newKey().line }
    await expect(proved(alice, login)).rejects.toThrow(BadParameter)
  })

  test('a second key is enrolled on a page', async () => {
    const bench = await cluster()
    const who = await person(bench, 'alice', 'app')
    const api = bench.as(who.caller)
    const action = { kind: 'add_device', device: 'webauthn', name: 'blue key' } as const
    const proof = { otp: codeOf(bench, who.secret) }
    const { ceremony } = await api.call(beginMfaDevice, { body: { action, proof, callback } })
    if (ceremony === undefined) throw new Error('no ceremony')
    const { id, secret } = ceremony
    const view = await proxy(bench).call(openCeremony, { body: { id, client } })
    expect(view).toMatchObject({ title: 'Add a second factor', details: [['Name', 'blue key']], user: 'alice' })
    const blue = new SoftKey(origin)
    const attestation = blue.create(view.create ?? { challenge: '' })
    const code = codeIn(await proxy(bench).call(answerCeremony, { body: { id, attestation, client } }))
    const other = { ...action, name: 'red key' }
    await expect(api.call(addMfaDevice, { body: { action: other, ceremony: { id, secret, code } } })).rejects.toThrow(
      AccessDenied,
    )
    const again = await api.call(listMfaDevices)
    expect(again.items).toHaveLength(1)
  })
})

test('the secret of an earlier release becomes a device: whole, and the same however often', async () => {
  const bench = await cluster()
  const who = await person(bench, 'alice', 'app')
  const { tables } = bench.services
  const stored = (await tables.credentials.find('alice'))?.value
  // As it was stored then.
  await bench.backend.put(tables.credentials.item('alice', { password: stored?.password, otpSecret: who.secret }))
  expect(await migrateDevices(bench.backend, tables)).toBe(1)
  expect(await migrateDevices(bench.backend, tables)).toBe(0)
  const migrated = (await tables.credentials.find('alice'))?.value
  expect(migrated).toMatchObject({ devices: [{ kind: 'totp', name: 'otp', secret: who.secret }] })
  expect(migrated).not.toHaveProperty('otpSecret')
  await expect(tryLogin(bench, 'alice', { otp: codeOf(bench, who.secret) })).resolves.toBeDefined()
  const old = { otpSecret: 'A', devices: [], recoveryCodes: [] }
  const once = migrateCredentials(old, 'now')
  expect(migrateCredentials({ ...once, otpSecret: 'A' }, 'later')).toEqual(once)
})
