import { expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import { issueCertificate, issueCertificateSync } from './issue.ts'
import { parseCertificate } from './parse.ts'
import type { CertificatePolicy, CertificateTemplate } from './types.ts'
import { verifyCertificate } from './verify.ts'

const ca = generateEd25519()
const subject = generateEd25519().publicKey
const now = new Date('2026-06-01T12:00:00Z')
const at = (seconds: number) => new Date(now.getTime() + seconds * 1000)
const template: CertificateTemplate = {
  publicKey: subject,
  type: 'user',
  keyId: 'alice',
  principals: ['alice', 'root'],
  validAfter: at(-60),
  validBefore: at(3600),
}
const policy: CertificatePolicy = { type: 'user', authorities: [ca.publicKey], now, principal: 'alice' }

interface Row {
  readonly name: string
  readonly template?: Partial<CertificateTemplate>
  readonly policy?: Partial<CertificatePolicy>
  readonly refusal?: string
  readonly reason?: string
}
const rows: readonly Row[] = [
  { name: 'a good certificate passes' },
  {
    name: 'V1 expired',
    template: { validAfter: at(-7200), validBefore: at(-3600) },
    refusal: 'expired',
    reason: 'certificate expired 60 min ago',
  },
  { name: 'V1 expired within the skew passes', template: { validBefore: at(-59) }, policy: {} },
  { name: 'V1 expired at the skew', template: { validBefore: at(-60), validAfter: at(-600) }, refusal: 'expired' },
  {
    name: 'V2 not yet valid',
    template: { validAfter: at(3600), validBefore: at(7200) },
    refusal: 'not-yet-valid',
    reason: 'certificate not valid for another 60 min',
  },
  { name: 'V2 early within the skew passes', template: { validAfter: at(60) } },
  {
    name: 'V4 another authority',
    policy: { authorities: [generateEd25519().publicKey] },
    refusal: 'unknown-authority',
  },
  { name: 'V4 no authorities at all', policy: { authorities: [] }, refusal: 'unknown-authority' },
  { name: 'V5 a host certificate as user certificate', template: { type: 'host' }, refusal: 'wrong-type' },
  { name: 'V5 a user certificate as host certificate', policy: { type: 'host' }, refusal: 'wrong-type' },
  { name: 'a principal that is not there', policy: { principal: 'bob' }, refusal: 'wrong-principal' },
  { name: 'principals are case-exact', policy: { principal: 'Alice' }, refusal: 'wrong-principal' },
  { name: 'user principals are literal', template: { principals: ['*'] }, refusal: 'wrong-principal' },
  {
    name: 'host principals may be patterns',
    template: { type: 'host', principals: ['*.example.com'] },
    policy: { type: 'host', principal: 'Db1.Example.com' },
  },
  {
    name: 'a host pattern that does not match',
    template: { type: 'host', principals: ['?.example.com'] },
    policy: { type: 'host', principal: 'db1.example.com' },
    refusal: 'wrong-principal',
  },
  {
    name: 'V8 source-address matches',
    template: { criticalOptions: { 'source-address': '10.0.0.0/8,::1' } },
    policy: { sourceAddress: '::ffff:10.1.2.3' },
  },
  {
    name: 'V8 source-address differs',
    template: { criticalOptions: { 'source-address': '10.9.9.9/32' } },
    policy: { sourceAddress: '10.9.9.8' },
    refusal: 'source-address',
  },
  {
    name: 'V8 source-address without a client address',
    template: { criticalOptions: { 'source-address': '10.0.0.0/8' } },
    refusal: 'source-address',
  },
  {
    name: 'V8 empty source-address',
    template: { criticalOptions: { 'source-address': '' } },
    policy: { sourceAddress: '10.9.9.8' },
    refusal: 'source-address',
  },
  {
    name: 'V9 unknown critical option',
    template: { criticalOptions: { 'foo@x': '1' } },
    refusal: 'unknown-critical-option',
  },
  {
    name: 'force-command is unknown unless handled',
    template: { criticalOptions: { 'force-command': 'id' } },
    refusal: 'unknown-critical-option',
  },
  {
    name: 'force-command passes when handled',
    template: { criticalOptions: { 'force-command': 'id' } },
    policy: { handledCriticalOptions: ['force-command'] },
  },
  {
    name: 'host certificates know no critical option',
    template: { type: 'host', criticalOptions: { 'source-address': '10.0.0.0/8' } },
    policy: { type: 'host', sourceAddress: '10.0.0.1' },
    refusal: 'unknown-critical-option',
  },
  {
    name: 'a CA algorithm that is not allowed',
    policy: { caSignatureAlgorithms: ['rsa-sha2-512'] },
    refusal: 'signature-algorithm',
  },
]

test.each(rows)('$name', (row) => {
  const certificate = issueCertificateSync({ ...template, ...fix(row.template) }, ca, realEnv)
  const verdict = verifyCertificate(certificate, { ...policy, ...row.policy })
  expect(verdict.ok ? undefined : verdict.refusal).toBe(row.refusal)
  if (row.reason !== undefined) expect(verdict).toHaveProperty('reason', expect.stringContaining(row.reason))
})

/** Rows give only the end that matters; the other one follows. */
function fix(part: Partial<CertificateTemplate> = {}): Partial<CertificateTemplate> {
  if (part.validBefore !== undefined && part.validAfter === undefined) return { ...part, validAfter: at(-7200) }
  return part
}

test('V4 self-signed, or signed by the certified key itself, is refused', () => {
  const key = generateEd25519()
  const certificate = issueCertificateSync({ ...template, publicKey: key.publicKey }, key, realEnv)
  expect(verifyCertificate(certificate, policy)).toMatchObject({ ok: false, refusal: 'unknown-authority' })
})

test('a signature of the authority over something else is refused', () => {
  const good = issueCertificateSync(template, ca, realEnv)
  const other = issueCertificateSync({ ...template, principals: ['root'] }, ca, realEnv)
  const forged = parseCertificate(Buffer.concat([other.blob.subarray(0, -good.signature.length), good.signature]))
  expect(verifyCertificate(forged, { ...policy, principal: 'root' })).toMatchObject({
    ok: false,
    refusal: 'bad-signature',
  })
  // An answer given once is remembered for that certificate only.
  expect(verifyCertificate(good, policy).ok).toBe(true)
  expect(verifyCertificate(forged, { ...policy, principal: 'root' }).ok).toBe(false)
  expect(verifyCertificate(good, { ...policy, authorities: [] }).ok).toBe(false)
})

test('flags and unknown extensions are reported', () => {
  const certificate = issueCertificateSync(
    {
      ...template,
      criticalOptions: { 'verify-required': '' },
      extensions: { 'permit-pty': '', 'no-touch-required': '', 'foo@x': '1', 'bar@x': '' },
    },
    ca,
    realEnv,
  )
  expect(verifyCertificate(certificate, { ...policy, knownExtensions: ['bar@x'] })).toEqual({
    ok: true,
    unknownExtensions: ['foo@x'],
    noTouchRequired: true,
    verifyRequired: true,
  })
})

test.each([
  generateEd25519(),
  generateEcdsa('nistp256'),
  generateEcdsa('nistp384'),
  generateEcdsa('nistp521'),
  generateRsa(2048),
])('any kind of key can be authority and subject: $publicKey.type', async (key) => {
  const certificate = await issueCertificate({ ...template, publicKey: key.publicKey }, key, realEnv)
  expect(verifyCertificate(certificate, { ...policy, authorities: [key.publicKey] }).ok).toBe(true)
})

test('every flipped byte and every cut refuses the certificate', () => {
  const good = issueCertificateSync(
    { ...template, criticalOptions: { 'source-address': '10.0.0.0/8' } },
    ca,
    realEnv,
  ).blob
  const strict = { ...policy, sourceAddress: '10.1.1.1' }
  for (let index = 0; index < good.length; index++) {
    const flipped = Buffer.from(good)
    flipped.writeUInt8((flipped[index] ?? 0) ^ 0x01, index)
    expect(accepts(flipped)).toBe(false)
    expect(accepts(good.subarray(0, index))).toBe(false)
  }
  expect(accepts(good)).toBe(true)

  function accepts(blob: Buffer): boolean {
    try {
      return verifyCertificate(parseCertificate(blob), strict).ok
    } catch (error) {
      expect(error).toHaveProperty('name', 'WireError')
      return false
    }
  }
})
