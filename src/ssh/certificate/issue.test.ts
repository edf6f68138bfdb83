import { expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { BadParameter } from '../../errors/errors.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import { fingerprintSha256 } from '../keys/public-key.ts'
import { run } from '../testing/run.ts'
import { tempDir } from '../testing/temp-dir.ts'
import {
  certificateAlgorithmOf,
  isCertificateAlgorithm,
  plainKeyType,
  publicKeyAlgorithmName,
  resolvePublicKeyAlgorithm,
} from './algorithms.ts'
import { issueCertificateSync } from './issue.ts'
import { certificateLine, parseCertificateLine } from './line.ts'
import type { CertificateTemplate } from './types.ts'

const template: CertificateTemplate = {
  publicKey: generateEd25519().publicKey,
  type: 'user',
  keyId: 'alice@example.com',
  principals: ['alice', 'root'],
  validAfter: new Date('2026-01-01T00:00:00Z'),
  validBefore: new Date('2026-01-02T00:00:00Z'),
  serial: 7n,
}
const keys = [
  generateEd25519(),
  generateEcdsa('nistp256'),
  generateEcdsa('nistp384'),
  generateEcdsa('nistp521'),
  generateRsa(2048),
]

test.each(keys)('ssh-keygen -L prints ours as meant: $publicKey.type', async (key) => {
  using dir = tempDir()
  const ca = key
  const certificate = issueCertificateSync(
    {
      ...template,
      publicKey: key.publicKey,
      criticalOptions: { 'source-address': '10.0.0.0/8', 'force-command': 'id' },
      extensions: { 'permit-pty': '', 'permit-agent-forwarding': '', 'roles@x': 'access' },
    },
    ca,
    realEnv,
  )
  const line = certificateLine(certificate, 'me')
  expect(parseCertificateLine(line)).toEqual({ certificate, comment: 'me' })
  const file = dir.write('k-cert.pub', `${line}\n`)
  const { stdout, code } = await run('ssh-keygen', ['-Lf', file], { env: { TZ: 'UTC' } })
  expect(code).toBe(0)
  const text = stdout.toString()
  for (const expected of [
    `Type: ${certificate.algorithm} user certificate`,
    fingerprintSha256(key.publicKey),
    `Signing CA: `,
    `(using ${certificate.signatureAlgorithm})`,
    'Key ID: "alice@example.com"',
    'Serial: 7',
    'Valid: from 2026-01-01T00:00:00 to 2026-01-02T00:00:00',
    'force-command id',
    'source-address 10.0.0.0/8',
    'permit-agent-forwarding',
    'permit-pty',
    'roles@x UNKNOWN OPTION',
  ])
    expect(text).toContain(expected)
  expect(text).toMatch(/Principals:\s+alice\s+root\s/)
})

test.each([
  { name: 'no principals', change: { principals: [] } },
  { name: 'an empty principal', change: { principals: [''] } },
  { name: 'V7 a comma in a principal', change: { principals: ['alice,root'] } },
  { name: 'a blank in a principal', change: { principals: ['alice root'] } },
  { name: 'a control character in a principal', change: { principals: ['alice\u001b'] } },
  { name: '257 principals', change: { principals: Array.from({ length: 257 }, (_, index) => `u${index}`) } },
  { name: 'a key id with NUL', change: { keyId: 'a\0' } },
  { name: 'a key id of 1 MB', change: { keyId: 'x'.repeat(1_000_000) } },
  { name: 'an end before the start', change: { validBefore: new Date(0) } },
  { name: 'an invalid date', change: { validBefore: new Date(Number.NaN) } },
  { name: 'an option name with a blank', change: { extensions: { 'a b': '' } } },
])('$name is not issued', ({ change }) => {
  expect(() => issueCertificateSync({ ...template, ...change }, generateEd25519(), realEnv)).toThrow(BadParameter)
})

test('nonce and serial come from the environment', () => {
  const env = { ...realEnv, randomBytes: (size: number) => Buffer.alloc(size, 9) }
  const { serial, ...rest } = template
  const key = generateEd25519()
  const [one, two] = [issueCertificateSync(rest, key, env), issueCertificateSync(rest, key, env)]
  expect(one.blob).toEqual(two.blob)
  expect(one.serial).toBe(0x0909090909090909n)
  expect(issueCertificateSync(template, key, realEnv).serial).toBe(serial)
})

test('algorithm names resolve to blob type and signature, and back', () => {
  for (const key of keys) {
    const { type } = key.publicKey
    const certificateType = certificateAlgorithmOf(type)
    expect(isCertificateAlgorithm(certificateType) && plainKeyType(certificateType)).toBe(type)
    for (const signature of key.algorithms) {
      for (const blobType of [type, certificateType]) {
        const name = publicKeyAlgorithmName(blobType, signature)
        expect(resolvePublicKeyAlgorithm(name)).toEqual({ blobType, certificate: blobType !== type, signature })
      }
    }
  }
  for (const name of ['ssh-rsa', 'ssh-rsa-cert-v01@openssh.com', 'ssh-dss', '', '__proto__', 'constructor'])
    expect(resolvePublicKeyAlgorithm(name)).toBeUndefined()
})
