/** What a backup's YAML and the API say of a user's proofs: the same shapes, with the same bounds. */

import { describe, expect, test } from 'vitest'
import { localAuth } from '../access/schema/local-auth.ts'
import { fromLocalAuth, toLocalAuth } from './local-auth.ts'
import { credentialSecrets } from './secret-routes.ts'

const base64 = 'A'.repeat(22)
const key = {
  type: 'webauthn',
  id: '33333333-3333-4333-8333-333333333333',
  name: 'blue key',
  added_at: '2026-01-31T12:00:00.000Z',
  credential_id: 'AQ',
  public_key: 'Ag',
  counter: 7,
  rp_id: 'proxy.example.com',
  transports: ['usb'],
}
const whole = {
  password_hash: `$argon2id$v=19$m=32768,t=3,p=1$${base64}$${base64}`,
  totp_secret: 'ABCDEFGHIJKLMNOP',
  mfa: [key],
  recovery_codes: ['0'.repeat(64)],
}

test('whatever the YAML lets through comes out again as it was', () => {
  const read = localAuth.parse(whole)
  expect(toLocalAuth(fromLocalAuth(read))).toEqual(whole)
})

describe('neither takes', () => {
  test.each<[string, object]>([
    ['a hash that costs too much', { password_hash: whole.password_hash.replace('32768', '9999999') }],
    ['a hash with a short salt', { password_hash: `$argon2id$v=19$m=32768,t=3,p=1$AAAA$${base64}` }],
    ['an endless secret', { totp_secret: 'A'.repeat(257) }],
    ['an endless secret of equal signs', { totp_secret: `ABCDEFGHIJKLMNOP${'='.repeat(256)}` }],
    ['too many devices', { mfa: Array.from({ length: 17 }, () => key) }],
    ['too many recovery codes', { recovery_codes: Array.from({ length: 65 }, () => '0'.repeat(64)) }],
    ['an id that is none', { mfa: [{ ...key, id: '33333333-3333-9333-0333-333333333333' }] }],
    ['a day that is none', { mfa: [{ ...key, added_at: '2026-13-41T12:00:00Z' }] }],
    ['an endless name', { mfa: [{ ...key, name: 'a'.repeat(65) }] }],
    ['an endless credential', { mfa: [{ ...key, credential_id: 'A'.repeat(2049) }] }],
    ['an endless host', { mfa: [{ ...key, rp_id: 'a'.repeat(256) }] }],
    ['too many transports', { mfa: [{ ...key, transports: Array.from({ length: 17 }, () => 'usb') }] }],
    ['an endless transport', { mfa: [{ ...key, transports: ['a'.repeat(33)] }] }],
  ])('%s', (_name, change) => {
    expect(localAuth.safeParse({ ...whole, ...change }).success).toBe(false)
    const given = { ...whole, ...change }
    const device = given.mfa[0] ?? key
    const api = {
      password: given.password_hash,
      otpSecret: given.totp_secret,
      devices: given.mfa.map(() => ({
        ...{ kind: 'webauthn', id: device.id, name: device.name, addedAt: device.added_at, counter: 7 },
        ...{ credentialId: device.credential_id, publicKey: 'Ag', rpId: device.rp_id, transports: device.transports },
      })),
      recoveryCodes: given.recovery_codes,
    }
    expect(credentialSecrets.safeParse(api).success).toBe(false)
  })
})
