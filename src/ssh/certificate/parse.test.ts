import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { BadParameter } from '../../errors/errors.ts'
import { formatPublicKeyLine, parsePublicKeyLine } from '../keys/line.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import { parsePublicKey } from '../keys/public-key.ts'
import { runOk } from '../testing/run.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { issueCertificateSync } from './issue.ts'
import { parseCertificateLine, parseKeyOrCertificateLine } from './line.ts'
import { parseCertificate } from './parse.ts'
import type { CertificatePolicy } from './types.ts'
import { verifyCertificate } from './verify.ts'

const ca = generateEd25519()
const subject = generateEd25519()
const fieldsOf = (blob: Buffer) => {
  const reader = new WireReader(blob)
  reader.string()
  return reader.rest()
}
const skKey = parsePublicKey(
  new WireWriter().string('sk-ssh-ed25519@openssh.com').bytes(fieldsOf(subject.publicKey.blob)).string('ssh:').take(),
)
const skEcdsa = parsePublicKey(
  new WireWriter()
    .string('sk-ecdsa-sha2-nistp256@openssh.com')
    .bytes(fieldsOf(generateEcdsa().publicKey.blob))
    .string('ssh:')
    .take(),
)

describe('certificates made by ssh-keygen', () => {
  const authorities = [
    { name: 'ed25519', args: ['-t', 'ed25519'], sign: [], algorithm: 'ssh-ed25519' },
    { name: 'p256', args: ['-t', 'ecdsa', '-b', '256'], sign: [], algorithm: 'ecdsa-sha2-nistp256' },
    { name: 'p521', args: ['-t', 'ecdsa', '-b', '521'], sign: [], algorithm: 'ecdsa-sha2-nistp521' },
    { name: 'rsa with SHA-512', args: ['-t', 'rsa'], sign: ['-t', 'rsa-sha2-512'], algorithm: 'rsa-sha2-512' },
    { name: 'rsa with SHA-256', args: ['-t', 'rsa'], sign: ['-t', 'rsa-sha2-256'], algorithm: 'rsa-sha2-256' },
  ]
  test.each(authorities)('an authority of type $name', async ({ args, sign, algorithm }) => {
    using dir = tempDir()
    await runOk('ssh-keygen', ['-q', ...args, '-N', '', '-f', dir.file('ca')])
    const subjects = [
      subject,
      generateEcdsa('nistp256'),
      generateEcdsa('nistp384'),
      generateEcdsa('nistp521'),
      generateRsa(2048),
    ]
    for (const publicKey of [...subjects.map((key) => key.publicKey), skKey, skEcdsa]) {
      const pub = dir.write('k.pub', `${formatPublicKeyLine(publicKey, 'me')}\n`)
      await runOk('ssh-keygen', [
        '-q',
        '-s',
        dir.file('ca'),
        ...sign,
        '-I',
        'key id',
        '-n',
        'alice,bob',
        '-z',
        '42',
        pub,
      ])
      const { certificate, comment } = parseCertificateLine(readFileSync(dir.file('k-cert.pub'), 'utf8'))
      expect(comment).toBe('me')
      expect(certificate).toMatchObject({ keyId: 'key id', principals: ['alice', 'bob'], serial: 42n, type: 'user' })
      expect(certificate.publicKey.blob).toEqual(publicKey.blob)
      expect(certificate.signatureAlgorithm).toBe(algorithm)
      const authority = parsePublicKeyLine(readFileSync(dir.file('ca.pub'), 'utf8')).key
      const policy: CertificatePolicy = { type: 'user', authorities: [authority], now: new Date(), principal: 'bob' }
      expect(verifyCertificate(certificate, policy)).toMatchObject({ ok: true, unknownExtensions: [] })
    }
  })

  test('every option it knows, and ones nobody knows', async () => {
    using dir = tempDir()
    const pub = dir.write('k.pub', `${formatPublicKeyLine(skKey)}\n`)
    await runOk('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', dir.file('ca')])
    const options = [
      'clear',
      'source-address=10.0.0.0/8,2001:db8::/32',
      'force-command=id',
      'verify-required',
      'no-touch-required',
      'permit-X11-forwarding',
      'permit-agent-forwarding',
      'permit-port-forwarding',
      'permit-pty',
      'permit-user-rc',
      'extension:zzz@x=1',
      'extension:aaa@x',
    ].flatMap((option) => ['-O', option])
    await runOk('ssh-keygen', [
      '-q',
      '-s',
      dir.file('ca'),
      '-I',
      'x',
      '-n',
      'alice',
      '-V',
      'always:forever',
      ...options,
      pub,
    ])
    const { certificate } = parseCertificateLine(readFileSync(dir.file('k-cert.pub'), 'utf8'))
    expect([...certificate.criticalOptions].map(([name, value]) => [name, value.toString()])).toEqual([
      ['force-command', 'id'],
      ['source-address', '10.0.0.0/8,2001:db8::/32'],
      ['verify-required', ''],
    ])
    expect(certificate.extensions.get('zzz@x')?.toString()).toBe('1')
    expect([certificate.validAfter, certificate.validBefore]).toEqual([0n, 2n ** 64n - 1n])
    const policy: CertificatePolicy = {
      type: 'user',
      authorities: [certificate.signatureKey],
      now: new Date(8e15),
      principal: 'alice',
      sourceAddress: '2001:db8::1',
      handledCriticalOptions: ['force-command'],
    }
    expect(verifyCertificate(certificate, policy)).toEqual({
      ok: true,
      unknownExtensions: ['aaa@x', 'zzz@x'],
      noTouchRequired: true,
      verifyRequired: true,
    })
  })

  test('V6 no principals, V9 unknown critical option, V13 SHA-1', async () => {
    using dir = tempDir()
    const pub = dir.write('k.pub', `${formatPublicKeyLine(subject.publicKey)}\n`)
    await runOk('ssh-keygen', ['-q', '-t', 'rsa', '-N', '', '-f', dir.file('ca')])
    const make = async (...args: string[]) => {
      await runOk('ssh-keygen', ['-q', '-s', dir.file('ca'), '-I', 'x', ...args, pub])
      return readFileSync(dir.file('k-cert.pub'), 'utf8')
    }
    const verdict = (line: string) => {
      const { certificate } = parseCertificateLine(line)
      const authorities = [certificate.signatureKey]
      const found = verifyCertificate(certificate, { type: 'user', authorities, now: new Date(), principal: undefined })
      return found.ok ? 'ok' : found.refusal
    }
    expect(verdict(await make())).toBe('no-principals')
    expect(verdict(await make('-n', 'alice', '-O', 'critical:foo@x=1'))).toBe('unknown-critical-option')
    expect(verdict(await make('-n', 'alice', '-O', 'extension:foo@x'))).toBe('ok')
    const sha1 = await make('-n', 'alice', '-t', 'ssh-rsa')
    expect(() => parseCertificateLine(sha1)).toThrow(/ssh-rsa/)
  })
})

/** Everything a crafted certificate may contain; the defaults make a good one. */
interface Craft {
  readonly algorithm?: string
  readonly type?: number
  readonly keyId?: Buffer
  readonly principals?: readonly string[]
  readonly critical?: Buffer
  readonly extensions?: Buffer
  readonly authority?: Buffer
  readonly tail?: Buffer
}
const option = (name: string, content: Buffer) => new WireWriter().string(name).string(content).take()
const wrapped = (content: string) => new WireWriter().string(content).take()
const none = Buffer.alloc(0)

function craft(parts: Craft = {}): Buffer {
  const principals = new WireWriter()
  for (const principal of parts.principals ?? ['alice']) principals.string(principal)
  const signed = new WireWriter()
    .string(parts.algorithm ?? 'ssh-ed25519-cert-v01@openssh.com')
    .string(Buffer.alloc(32))
    .bytes(fieldsOf(subject.publicKey.blob))
    .uint64(1n)
    .uint32(parts.type ?? 1)
    .string(parts.keyId ?? 'alice')
    .string(principals.take())
    .uint64(0n)
    .uint64(2n ** 64n - 1n)
    .string(parts.critical ?? '')
    .string(parts.extensions ?? '')
    .string('')
    .string(parts.authority ?? ca.publicKey.blob)
    .take()
  return new WireWriter()
    .bytes(signed)
    .string(ca.signSync(Buffer.from(signed)))
    .bytes(parts.tail ?? none)
    .take()
}

describe('crafted certificates', () => {
  test('the craft itself is good, at its limits too, and with options out of order as OpenSSH allows', () => {
    const good = [
      craft(),
      craft({ principals: Array.from({ length: 256 }, (_, index) => `user${index}`) }),
      craft({ keyId: Buffer.alloc(65_536, 'x') }),
      craft({ extensions: Buffer.concat([option('permit-pty', none), option('a@x', wrapped('1'))]) }),
    ]
    for (const blob of good) {
      const certificate = parseCertificate(blob)
      const policy: CertificatePolicy = {
        type: 'user',
        authorities: [ca.publicKey],
        now: new Date(),
        principal: undefined,
      }
      expect(verifyCertificate(certificate, policy).ok).toBe(true)
    }
  })

  test.each([
    { name: 'V12 a certificate as authority', blob: craft({ authority: craft() }) },
    {
      name: 'V12 a certificate type of a certificate',
      blob: craft({ algorithm: 'ssh-ed25519-cert-v01@openssh.com-cert-v01@openssh.com' }),
    },
    { name: 'V12 thousands of levels', blob: nested(1000) },
    {
      name: 'V16 257 principals',
      blob: craft({ principals: Array.from({ length: 257 }, (_, index) => `user${index}`) }),
    },
    { name: 'V16 a key id of 64 KiB and a byte', blob: craft({ keyId: Buffer.alloc(65_537, 'x') }) },
    { name: 'V16 a key id of 1 MB', blob: craft({ keyId: Buffer.alloc(1_000_000, 'x') }) },
    { name: 'V16 trailing bytes', blob: craft({ tail: Buffer.of(0) }) },
    { name: 'an unknown type', blob: craft({ type: 3 }) },
    { name: 'type 0', blob: craft({ type: 0 }) },
    { name: 'NUL in the key id', blob: craft({ keyId: Buffer.from('alice\0x') }) },
    { name: 'NUL in a principal', blob: craft({ principals: ['root\0x'] }) },
    { name: 'a key id that is not UTF-8', blob: craft({ keyId: Buffer.of(0xff) }) },
    {
      name: 'an extension twice',
      blob: craft({ extensions: Buffer.concat([option('permit-pty', none), option('permit-pty', none)]) }),
    },
    {
      name: 'a critical option twice',
      blob: craft({
        critical: Buffer.concat([
          option('source-address', wrapped('10.0.0.0/8')),
          option('source-address', wrapped('0.0.0.0/0')),
        ]),
      }),
    },
    { name: 'a flag with content', blob: craft({ extensions: option('permit-pty', wrapped('no')) }) },
    {
      name: 'a flag with an empty content wrapped',
      blob: craft({ critical: option('verify-required', wrapped('x')) }),
    },
    {
      name: 'an option content that is not one string',
      blob: craft({ critical: option('source-address', Buffer.from('10.0.0.0/8')) }),
    },
    {
      name: 'an option content with trailing bytes',
      blob: craft({ critical: option('a@x', Buffer.concat([wrapped('a'), none, Buffer.of(1)])) }),
    },
    { name: 'an option name without content', blob: craft({ extensions: wrapped('permit-pty') }) },
    { name: 'a DSA authority', blob: craft({ authority: new WireWriter().string('ssh-dss').string('x').take() }) },
    { name: 'a plain key', blob: subject.publicKey.blob },
    { name: 'nothing', blob: none },
  ])('$name is refused', ({ blob }) => expect(() => parseCertificate(blob)).toThrow(WireError))

  function nested(levels: number): Buffer {
    let blob = craft()
    for (let level = 0; level < levels && blob.length < 250_000; level++) blob = craft({ authority: blob })
    return blob
  }
})

test('lengths of 0, 2^31 and 2^32-1 at every place are refused or change the certificate', () => {
  const good = craft({ critical: option('source-address', wrapped('10.0.0.0/8')) })
  const policy: CertificatePolicy = {
    type: 'user',
    authorities: [ca.publicKey],
    now: new Date(),
    principal: 'alice',
    sourceAddress: '10.0.0.1',
  }
  expect(verifyCertificate(parseCertificate(good), policy).ok).toBe(true)
  for (let at = 0; at + 4 <= good.length; at++) {
    for (const length of [0, 2 ** 31, 2 ** 32 - 1]) {
      const damaged = Buffer.from(good)
      if (damaged.readUInt32BE(at) === length) continue
      damaged.writeUInt32BE(length, at)
      expect(tryParse(damaged) && verifyCertificate(parseCertificate(damaged), policy).ok).toBeFalsy()
    }
  }
})

function tryParse(blob: Buffer): boolean {
  try {
    parseCertificate(blob)
    return true
  } catch (error) {
    if (error instanceof WireError) return false
    throw error
  }
}

test('damaged, cut and random bytes give a certificate or a WireError, nothing else', () => {
  const samples = [
    craft({ extensions: option('permit-pty', none) }),
    issueCertificateSync(
      {
        publicKey: generateRsa(2048).publicKey,
        type: 'host',
        keyId: 'h',
        principals: ['h'],
        validAfter: new Date(0),
        validBefore: new Date(1e12),
      },
      generateEcdsa('nistp384'),
      realEnv,
    ).blob,
  ]
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(fc.constantFrom(...samples), edits, fc.nat(), fc.boolean(), (blob, changes, cut, doCut) => {
      const damaged = Buffer.from(doCut ? blob.subarray(0, cut % blob.length) : blob)
      for (const [at, byte] of changes) if (damaged.length > 0) damaged.writeUInt8(byte, at % damaged.length)
      tryParse(damaged)
    }),
    { numRuns: 3000 },
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void tryParse(Buffer.from(bytes))))
})

test('any line is a key, a certificate or a BadParameter', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('', 'ssh-ed25519 ', 'ssh-rsa-cert-v01@openssh.com '),
      fc.oneof(fc.string(), fc.base64String()),
      (type, text) => {
        for (const parse of [parseCertificateLine, parseKeyOrCertificateLine]) {
          try {
            parse(type + text)
          } catch (error) {
            if (!(error instanceof BadParameter)) throw error
          }
        }
      },
    ),
  )
})
