import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runOk } from '../testing/run.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { algorithmsOfKeyType, isSignatureAlgorithm, keyTypeOfAlgorithm, signatureAlgorithms } from './algorithms.ts'
import { parsePublicKeyLine } from './line.ts'
import { generateEcdsa, generateEd25519, generateRsa } from './private-key.ts'
import { parsePublicKey } from './public-key.ts'
import { verifySignature } from './signature.ts'

const data = Buffer.from('the data that is signed')
const keys = [
  generateEd25519(),
  generateEcdsa('nistp256'),
  generateEcdsa('nistp384'),
  generateEcdsa('nistp521'),
  generateRsa(2048),
]

test('the two tables of algorithms agree', () => {
  for (const [type, algorithms] of Object.entries(algorithmsOfKeyType))
    for (const algorithm of algorithms) expect(keyTypeOfAlgorithm[algorithm]).toBe(type)
  expect([...signatureAlgorithms].sort()).toEqual(Object.keys(keyTypeOfAlgorithm).sort())
  expect(isSignatureAlgorithm('ssh-rsa')).toBe(false)
})

const triples = keys.flatMap((key) =>
  signatureAlgorithms.flatMap((advertised) =>
    [...signatureAlgorithms, 'ssh-rsa', 'ssh-dss'].map((named) => ({
      key,
      type: key.publicKey.type,
      advertised,
      named,
    })),
  ),
)

describe('V11 key type, advertised algorithm and the algorithm in the signature must agree', () => {
  test.each(keys)('$publicKey.type', (key) => {
    for (const { advertised, named, type } of triples.filter((row) => row.key === key)) {
      // A mathematically right signature under the name `named`, wherever the key can make one.
      const algorithm = isSignatureAlgorithm(named) && keyTypeOfAlgorithm[named] === type ? named : key.algorithms[0]
      const reader = new WireReader(key.signSync(data, algorithm))
      reader.string()
      const blob = new WireWriter().string(named).bytes(reader.rest()).take()
      const agree = advertised === named && keyTypeOfAlgorithm[advertised] === type
      expect(verifySignature(key.publicKey, data, blob, advertised), `${type} ${advertised} ${named}`).toBe(agree)
    }
  })
})

describe('strict encodings', () => {
  test.each(keys)('trailing bytes, truncation, other data and an empty signature fail: $publicKey.type', (key) => {
    const [algorithm = 'ssh-ed25519'] = key.algorithms
    const good = key.signSync(data)
    const check = (blob: Buffer, what = data) => verifySignature(key.publicKey, what, blob, algorithm)
    expect(check(good)).toBe(true)
    expect(check(good, Buffer.from('other'))).toBe(false)
    expect(check(Buffer.concat([good, Buffer.of(0)]))).toBe(false)
    expect(check(good.subarray(0, -1))).toBe(false)
    expect(check(new WireWriter().string(algorithm).string('').take())).toBe(false)
    expect(check(Buffer.alloc(0))).toBe(false)
    expect(check(Buffer.alloc(100_000))).toBe(false)
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, xor) => {
        const damaged = Buffer.from(good)
        damaged.writeUInt8((damaged[at] ?? 0) ^ xor, at)
        expect(check(damaged)).toBe(false)
      }),
      { numRuns: 300 },
    )
  })

  test('ECDSA numbers of zero and beyond the curve fail', () => {
    const [, key] = keys
    const pair = (r: Buffer, s: Buffer) =>
      new WireWriter().string('ecdsa-sha2-nistp256').string(new WireWriter().mpint(r).mpint(s).take()).take()
    for (const number of [Buffer.alloc(0), Buffer.alloc(32, 0xff), Buffer.alloc(33, 0x7f), Buffer.alloc(64, 1)])
      expect(key && verifySignature(key.publicKey, data, pair(number, number), 'ecdsa-sha2-nistp256')).toBe(false)
  })

  test('an RSA signature without its leading zero byte is accepted, a longer one is not', () => {
    const key = generateRsa(2048)
    for (let attempt = 0; ; attempt++) {
      const message = Buffer.from(`message ${attempt}`)
      const reader = new WireReader(key.signSync(message))
      reader.string()
      const raw = reader.string()
      if (raw[0] !== 0) continue
      const blob = (signature: Buffer) => new WireWriter().string('rsa-sha2-512').string(signature).take()
      expect(verifySignature(key.publicKey, message, blob(raw.subarray(1)), 'rsa-sha2-512')).toBe(true)
      expect(verifySignature(key.publicKey, message, blob(Buffer.concat([Buffer.of(0), raw])), 'rsa-sha2-512')).toBe(
        false,
      )
      break
    }
  })
})

/** Signs as a security key does (PROTOCOL.u2f), with any flags. */
function securityKey(kind: 'ed25519' | 'p256') {
  const inner = kind === 'ed25519' ? generateEd25519() : generateEcdsa('nistp256')
  const type =
    kind === 'ed25519' ? ('sk-ssh-ed25519@openssh.com' as const) : ('sk-ecdsa-sha2-nistp256@openssh.com' as const)
  const fields = new WireReader(inner.publicKey.blob)
  fields.string()
  const key = parsePublicKey(new WireWriter().string(type).bytes(fields.rest()).string('ssh:').take())
  const sign = (flags: number, application = 'ssh:') => {
    const hash = (value: string | Buffer) => createHash('sha256').update(value).digest()
    const covered = new WireWriter().bytes(hash(application)).byte(flags).uint32(7).bytes(hash(data)).take()
    const reader = new WireReader(inner.signSync(covered))
    reader.string()
    return new WireWriter().string(type).bytes(reader.rest()).byte(flags).uint32(7).take()
  }
  return { key, type, sign }
}

const touches = [
  { name: 'touched', flags: 1, options: {}, ok: true },
  { name: 'V14 not touched', flags: 0, options: {}, ok: false },
  { name: 'V14 verified but not touched', flags: 4, options: {}, ok: false },
  { name: 'V14 not touched, and need not be', flags: 0, options: { noTouchRequired: true }, ok: true },
  { name: 'touched where verification is required', flags: 1, options: { verifyRequired: true }, ok: false },
  { name: 'touched and verified', flags: 5, options: { verifyRequired: true }, ok: true },
]
describe.each(['ed25519', 'p256'] as const)('security key signatures: %s', (kind) => {
  test.each(touches)('$name', ({ flags, options, ok }) => {
    const { key, type, sign } = securityKey(kind)
    expect(verifySignature(key, data, sign(flags), type, options)).toBe(ok)
  })
  test('flags, counter and application are covered by the signature', () => {
    const { key, type, sign } = securityKey(kind)
    const blob = sign(0)
    blob.writeUInt8(1, blob.length - 5)
    expect(verifySignature(key, data, blob, type)).toBe(false)
    expect(verifySignature(key, data, sign(1, 'web:'), type)).toBe(false)
    expect(verifySignature(key, data, Buffer.concat([sign(1), Buffer.of(0)]), type)).toBe(false)
    expect(verifySignature(key, data, sign(1).subarray(0, -5), type)).toBe(false)
  })
})

test.each(['ed25519', 'ecdsa', 'rsa'])('signatures made by ssh-keygen -Y sign verify: %s', async (type) => {
  using dir = tempDir()
  await runOk('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', dir.file('k')])
  const armored = await runOk('ssh-keygen', ['-Y', 'sign', '-f', dir.file('k'), '-n', 'file'], { input: data })
  const reader = new WireReader(Buffer.from(armored.split('\n').slice(1, -2).join(''), 'base64'), 6 + 4)
  const { key } = parsePublicKeyLine(readFileSync(dir.file('k.pub'), 'utf8'))
  expect(reader.string()).toEqual(key.blob)
  const [namespace, reserved, hash, blob] = [reader.string(), reader.string(), reader.ascii(), reader.string()]
  const digest = createHash(hash).update(data).digest()
  const covered = new WireWriter()
    .bytes(Buffer.from('SSHSIG'))
    .string(namespace)
    .string(reserved)
    .string(hash)
    .string(digest)
  const algorithm = type === 'rsa' ? 'rsa-sha2-512' : key.type === 'ssh-rsa' ? 'rsa-sha2-256' : key.type
  expect(verifySignature(key, covered.take(), blob, algorithm)).toBe(true)
})
