import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BadParameter } from '../../errors/errors.ts'
import { runOk } from '../testing/run.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { formatPublicKeyLine, parsePublicKeyLine } from './line.ts'
import { generateEcdsa, generateEd25519, generateRsa } from './private-key.ts'
import { formatPrivateKey, parsePrivateKey } from './private-key-file.ts'
import { equalKeys } from './public-key.ts'
import { verifySignature } from './signature.ts'

const kinds = [
  { kind: 'ed25519', args: ['-t', 'ed25519'], make: () => generateEd25519(undefined, 'a comment') },
  { kind: 'p256', args: ['-t', 'ecdsa', '-b', '256'], make: () => generateEcdsa('nistp256', 'a comment') },
  { kind: 'p384', args: ['-t', 'ecdsa', '-b', '384'], make: () => generateEcdsa('nistp384', 'a comment') },
  { kind: 'p521', args: ['-t', 'ecdsa', '-b', '521'], make: () => generateEcdsa('nistp521', 'a comment') },
  { kind: 'rsa', args: ['-t', 'rsa', '-b', '2048'], make: () => generateRsa(2048, 'a comment') },
]
const forms = kinds.flatMap((row) => [
  { ...row, form: 'OpenSSH', formArgs: [] },
  ...(row.kind === 'ed25519'
    ? []
    : [
        { ...row, form: 'PEM', formArgs: ['-m', 'PEM'] },
        { ...row, form: 'PKCS8', formArgs: ['-m', 'PKCS8'] },
      ]),
])

test.each(forms)('$kind in $form form from ssh-keygen is read and signs', async ({ args, form, formArgs }) => {
  using dir = tempDir()
  await runOk('ssh-keygen', ['-q', ...args, ...formArgs, '-N', '', '-C', 'a comment', '-f', dir.file('k')])
  const key = parsePrivateKey(readFileSync(dir.file('k'), 'utf8'))
  const pub = parsePublicKeyLine(readFileSync(dir.file('k.pub'), 'utf8'))
  expect(equalKeys(key.publicKey, pub.key)).toBe(true)
  expect(pub.comment).toBe('a comment')
  if (form === 'OpenSSH') expect(key.comment).toBe('a comment')
  const data = Buffer.from('data')
  for (const algorithm of key.algorithms) {
    expect(verifySignature(pub.key, data, key.signSync(data, algorithm), algorithm)).toBe(true)
    expect(verifySignature(pub.key, data, await key.sign(data, algorithm), algorithm)).toBe(true)
  }
})

test.each(kinds)('$kind written by us is read by ssh-keygen and by us', async ({ make }) => {
  using dir = tempDir()
  const key = make()
  const file = dir.write('k', formatPrivateKey(key))
  expect((await runOk('ssh-keygen', ['-y', '-P', '', '-f', file])).trim()).toBe(
    formatPublicKeyLine(key.publicKey, 'a comment'),
  )
  const back = parsePrivateKey(readFileSync(file, 'utf8'))
  expect(equalKeys(back.publicKey, key.publicKey)).toBe(true)
  expect(back.comment).toBe('a comment')
})

test.each(kinds)('$kind in our file signs for ssh-keygen', async ({ make }) => {
  using dir = tempDir()
  const key = make()
  const file = dir.write('k', formatPrivateKey(key))
  dir.write('allowed', `me ${formatPublicKeyLine(key.publicKey)}\n`)
  const input = 'some text'
  const signed = await runOk('ssh-keygen', ['-Y', 'sign', '-f', file, '-n', 'file'], { input })
  dir.write('sig', signed)
  await runOk(
    'ssh-keygen',
    ['-Y', 'verify', '-f', dir.file('allowed'), '-I', 'me', '-n', 'file', '-s', dir.file('sig')],
    { input },
  )
})

test.each(kinds)('$kind written by us is read by puttygen', async ({ make }) => {
  using dir = tempDir()
  const key = make()
  const printed = await runOk('puttygen', [dir.write('k', formatPrivateKey(key)), '-L'])
  expect(equalKeys(parsePublicKeyLine(printed).key, key.publicKey)).toBe(true)
})

test.each(['ed25519', 'ecdsa', 'rsa'])('%s written by puttygen is read by us', async (type) => {
  using dir = tempDir()
  const none = dir.write('none', '\n')
  const file = dir.file('k')
  await runOk('puttygen', ['-q', '-t', type, '-O', 'private-openssh-new', '--new-passphrase', none, '-o', file])
  const key = parsePrivateKey(readFileSync(file, 'utf8'))
  expect(equalKeys(parsePublicKeyLine(await runOk('puttygen', [file, '-L'])).key, key.publicKey)).toBe(true)
})

describe('encrypted keys', () => {
  test('OpenSSH form: a clear error that says what to do', async () => {
    using dir = tempDir()
    await runOk('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', dir.file('k')])
    expect(() => parsePrivateKey(readFileSync(dir.file('k'), 'utf8'))).toThrow(/ssh-keygen -p/)
  })
  test('PKCS#8: read with the passphrase, refused without', () => {
    const pem = generateKeyPairSync('ed25519').privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'secret',
    })
    const text = pem.toString()
    expect(parsePrivateKey(text, 'secret').publicKey.type).toBe('ssh-ed25519')
    expect(() => parsePrivateKey(text)).toThrow(BadParameter)
    expect(() => parsePrivateKey(text)).toThrow(/passphrase/)
    expect(() => parsePrivateKey(text, 'wrong')).toThrow(BadParameter)
  })
})

const texts = [generateEd25519(), generateEcdsa('nistp256'), generateRsa(2048)].map((key) => {
  const base64 = formatPrivateKey(key).split('\n').slice(1, -2).join('')
  return { key, bytes: Buffer.from(base64, 'base64') }
})
const wrap = (bytes: Buffer) =>
  `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`

test('a damaged private key is a BadParameter, or still the same key', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      ({ key, bytes }, at, xor, cut) => {
        const index = at % bytes.length
        const damaged = Buffer.from(cut ? bytes.subarray(0, index) : bytes)
        if (!cut) damaged.writeUInt8((damaged[index] ?? 0) ^ xor, index)
        try {
          expect(equalKeys(parsePrivateKey(wrap(damaged)).publicKey, key.publicKey)).toBe(true)
        } catch (error) {
          if (!(error instanceof BadParameter)) throw error
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('any text is a key or a BadParameter', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String().map((text) => wrap(Buffer.from(text, 'base64'))),
      ),
      (text) => {
        for (const parse of [parsePrivateKey, parsePublicKeyLine]) {
          try {
            parse(text)
          } catch (error) {
            if (!(error instanceof BadParameter)) throw error
          }
        }
      },
    ),
  )
})
