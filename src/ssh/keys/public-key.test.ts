import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BadParameter } from '../../errors/errors.ts'
import { runOk } from '../testing/run.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { WireError } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { generateEcdsa, generateEd25519, generateRsa } from './private-key.ts'
import {
  caPin,
  equalKeys,
  fingerprintSha256,
  parsePublicKey,
  publicKeyFromKeyObject,
  toKeyObject,
} from './public-key.ts'

const rows = [
  { type: 'ed25519', args: ['-t', 'ed25519'], name: 'ssh-ed25519' },
  { type: 'p256', args: ['-t', 'ecdsa', '-b', '256'], name: 'ecdsa-sha2-nistp256' },
  { type: 'p384', args: ['-t', 'ecdsa', '-b', '384'], name: 'ecdsa-sha2-nistp384' },
  { type: 'p521', args: ['-t', 'ecdsa', '-b', '521'], name: 'ecdsa-sha2-nistp521' },
  { type: 'rsa', args: ['-t', 'rsa', '-b', '2048'], name: 'ssh-rsa' },
]

describe('keys made by ssh-keygen', () => {
  test.each(rows)(
    '$type parses, converts both ways and has the fingerprint ssh-keygen prints',
    async ({ args, name }) => {
      using dir = tempDir()
      const file = dir.file('k')
      await runOk('ssh-keygen', ['-q', ...args, '-N', '', '-f', file])
      const line = await runOk('cat', [`${file}.pub`])
      const blob = Buffer.from(line.split(' ')[1] ?? '', 'base64')
      const key = parsePublicKey(blob)
      expect(key.type).toBe(name)
      expect(key.blob).toEqual(blob)
      expect(equalKeys(publicKeyFromKeyObject(toKeyObject(key)), key)).toBe(true)
      expect(await runOk('ssh-keygen', ['-lf', `${file}.pub`])).toContain(` ${fingerprintSha256(key)} `)
      const pem = await runOk('ssh-keygen', ['-e', '-m', 'PKCS8', '-f', `${file}.pub`]).catch(() => undefined)
      if (pem !== undefined) {
        const fromPem = publicKeyFromKeyObject(createPublicKey(pem))
        expect(caPin(fromPem)).toBe(caPin(key))
        expect(equalKeys(fromPem, key)).toBe(true)
      }
    },
  )
})

const ed = generateEd25519().publicKey.blob
const skEd = new WireWriter().string('sk-ssh-ed25519@openssh.com').string(ed.subarray(19)).string('ssh:').take()

test('a security key keeps its application and holds a usable key', () => {
  const key = parsePublicKey(skEd)
  expect(key.application).toBe('ssh:')
  expect(toKeyObject(key).asymmetricKeyType).toBe('ed25519')
})

const rsaBlob = (exponent: Buffer, modulus: Buffer) =>
  new WireWriter().string('ssh-rsa').mpint(exponent).mpint(modulus).take()
const odd = (bits: number) => {
  const modulus = Buffer.alloc(bits / 8, 0xff)
  return modulus
}
const f4 = Buffer.from('010001', 'hex')

describe('weak and malformed keys are refused', () => {
  test.each([
    { name: 'RSA of 1024 bits', blob: rsaBlob(f4, odd(1024)) },
    { name: 'RSA of 2040 bits', blob: rsaBlob(f4, odd(2040)) },
    { name: 'RSA of 16384 bits', blob: rsaBlob(f4, odd(16_384)) },
    { name: 'RSA exponent 1', blob: rsaBlob(Buffer.of(1), odd(2048)) },
    { name: 'RSA exponent 0', blob: rsaBlob(Buffer.alloc(0), odd(2048)) },
    { name: 'RSA even exponent', blob: rsaBlob(Buffer.of(4), odd(2048)) },
    { name: 'RSA exponent of 65 bits', blob: rsaBlob(Buffer.from('010000000000000001', 'hex'), odd(2048)) },
    { name: 'RSA even modulus', blob: rsaBlob(f4, Buffer.concat([odd(2040), Buffer.of(0)])) },
    { name: 'DSA', blob: new WireWriter().string('ssh-dss').mpint(odd(1024)).take() },
    { name: 'an unknown type', blob: new WireWriter().string('ssh-foo').string('x').take() },
    { name: 'trailing bytes', blob: Buffer.concat([ed, Buffer.of(0)]) },
    {
      name: 'an ed25519 key of 31 bytes',
      blob: new WireWriter().string('ssh-ed25519').string(Buffer.alloc(31)).take(),
    },
    { name: 'a curve that is not the one of the type', blob: swapCurve() },
    { name: 'an ECDSA point off the curve', blob: offCurve() },
    { name: 'a compressed ECDSA point', blob: compressed() },
    { name: 'a security key without application', blob: skEd.subarray(0, skEd.length - 8) },
    { name: 'a certificate', blob: new WireWriter().string('ssh-ed25519-cert-v01@openssh.com').string('').take() },
    { name: 'a blob of 1 MB', blob: Buffer.concat([ed, Buffer.alloc(1_000_000)]) },
  ])('$name', ({ blob }) => expect(() => parsePublicKey(blob)).toThrow(WireError))

  test.each([
    { name: 'X25519', key: generateKeyPairSync('x25519').publicKey },
    { name: 'secp256k1', key: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey },
    { name: 'RSA of 1024 bits', key: generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey },
  ])('a node key of kind $name is a BadParameter', ({ key }) =>
    expect(() => publicKeyFromKeyObject(key)).toThrow(BadParameter),
  )
})

function swapCurve(): Buffer {
  const blob = Buffer.from(generateEcdsa('nistp256').publicKey.blob)
  blob.write('nistp384', 4 + 19 + 4)
  return blob
}
function offCurve(): Buffer {
  const blob = Buffer.from(generateEcdsa('nistp256').publicKey.blob)
  blob.writeUInt8((blob.at(-1) ?? 0) ^ 1, blob.length - 1)
  return blob
}
function compressed(): Buffer {
  const point = generateEcdsa('nistp256').publicKey.blob.subarray(-65)
  const short = Buffer.concat([Buffer.of(2 + ((point.at(-1) ?? 0) & 1)), point.subarray(1, 33)])
  return new WireWriter().string('ecdsa-sha2-nistp256').string('nistp256').string(short).take()
}

const valid = [ed, skEd, generateEcdsa('nistp521').publicKey.blob, generateRsa(2048).publicKey.blob]

test('any damage to a blob gives a key or a WireError, nothing else', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...valid),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (blob, at, xor, cut) => {
        const index = at % blob.length
        const damaged = Buffer.from(cut ? blob.subarray(0, index) : blob)
        if (!cut) damaged.writeUInt8((damaged[index] ?? 0) ^ xor, index)
        try {
          expect(parsePublicKey(damaged).blob).toEqual(damaged)
        } catch (error) {
          if (!(error instanceof WireError)) throw error
        }
      },
    ),
    { numRuns: 2000 },
  )
})
