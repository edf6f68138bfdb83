/** Every parser of the transport on bytes of any kind, and the packet reader on chunks of any size. */

import { createMac, randomBytes } from 'node:crypto'
import { Duplex } from 'node:stream'
import { poly1305 } from '@noble/ciphers/_poly1305.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BadParameter, ConnectionProblem } from '../../errors/errors.ts'
import { WireError } from '../wire/reader.ts'
import { cipherSpecs, type DirectionKeys, macSpecs } from './cipher-specs.ts'
import { createOpener, createSealer } from './ciphers.ts'
import { readExtensionInfo } from './extension-info.ts'
import { encodeKexInit, type KexInit, parseKexInit } from './kexinit.ts'
import { resolveLimits } from './limits.ts'
import { PacketReader } from './packet-reader.ts'
import { PacketWriter } from './packet-writer.ts'
import type { CipherAlgorithm, MacAlgorithm } from './types.ts'
import { VersionReader, versionString } from './version.ts'

/** What a parser may throw for bad input: anything else is a bug. */
function refusesCleanly(parse: () => void): void {
  try {
    parse()
  } catch (error) {
    if (!(error instanceof WireError || error instanceof ConnectionProblem)) throw error
  }
}

const name = fc.stringMatching(/^[a-z0-9@.-]{1,20}$/)
const names = fc.array(name, { maxLength: 8 })
const kexInit: fc.Arbitrary<KexInit> = fc.record({
  kex: names,
  hostKeys: names,
  ciphersToServer: names,
  ciphersToClient: names,
  macsToServer: names,
  macsToClient: names,
  compressionToServer: names,
  compressionToClient: names,
  firstKexPacketFollows: fc.boolean(),
})

describe('KEXINIT', () => {
  test('reads what it writes', () => {
    fc.assert(
      fc.property(kexInit, (init) => {
        expect(parseKexInit(encodeKexInit(init, Buffer.alloc(16)))).toEqual(init)
      }),
    )
  })
  test('any change is another KEXINIT or refused', () => {
    fc.assert(
      fc.property(kexInit, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (init, position, flip, cut) => {
        const bytes = encodeKexInit(init, Buffer.alloc(16))
        const at = position % bytes.length
        const changed = Buffer.from(cut ? bytes.subarray(0, at) : bytes)
        if (!cut) changed[at] = (changed[at] ?? 0) ^ flip
        refusesCleanly(() => parseKexInit(changed))
      }),
      { numRuns: 500 },
    )
  })
  test('any bytes are refused cleanly', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => refusesCleanly(() => parseKexInit(Buffer.from(bytes)))),
    )
  })
})

describe('EXT_INFO and version lines', () => {
  test('any bytes are refused cleanly', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom('client' as const, 'server' as const),
        (bytes, role) => {
          refusesCleanly(() => readExtensionInfo(Buffer.from(bytes), new Map()))
          refusesCleanly(() => void new VersionReader(role, 'FRONT').push(Buffer.from(bytes)))
        },
      ),
    )
  })
  test('a version line is found however it is cut', () => {
    const text = Buffer.from('FRONT hello\r\nSSH-2.0-Peer comment\r\nrest')
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 5 }), (cuts) => {
        const reader = new VersionReader('server', 'FRONT')
        const lines: string[] = []
        let left: Buffer[] = [0, ...cuts.sort((a, b) => a - b)].map((from, index, all) =>
          text.subarray(from, all[index + 1] ?? text.length),
        )
        while (left.length > 0 && lines.length < 2) {
          const [chunk = Buffer.alloc(0), ...others] = left
          const found = reader.push(chunk)
          left = others
          if (found === undefined) continue
          lines.push(found.line.kind === 'version' ? found.line.version : found.line.text)
          left = [found.rest, ...others]
        }
        expect(lines).toEqual(['hello', 'SSH-2.0-Peer comment'])
        expect(Buffer.concat(left).toString()).toBe('rest')
      }),
    )
  })
  test.each(['', 'a b', 'a-b', 'x\r\n', 'ü', 'x'.repeat(201)])('the ident %j is refused', (ident) => {
    expect(() => versionString(ident)).toThrow(BadParameter)
  })
})

describe('packets', () => {
  const protections: { cipher: CipherAlgorithm; mac: MacAlgorithm | undefined }[] = [
    { cipher: 'aes256-gcm@openssh.com', mac: undefined },
    { cipher: 'chacha20-poly1305@openssh.com', mac: undefined },
    { cipher: 'aes128-ctr', mac: 'hmac-sha2-512-etm@openssh.com' },
  ]
  const keysFor = (cipher: CipherAlgorithm, mac: MacAlgorithm | undefined): DirectionKeys => ({
    iv: randomBytes(cipherSpecs[cipher].ivSize),
    key: randomBytes(cipherSpecs[cipher].keySize),
    macKey: randomBytes(mac === undefined ? 0 : macSpecs[mac].keySize),
  })

  test.each(protections)('under $cipher arrive whole, however the stream is cut', async ({ cipher, mac }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 20 }),
        async (sizes, cuts) => {
          const keys = keysFor(cipher, mac)
          const written: Buffer[] = []
          const stream = new Duplex({
            write(chunk: Buffer, _encoding, done) {
              written.push(chunk)
              done()
            },
          })
          const writer = new PacketWriter(stream, () => undefined)
          writer.rekeyed(createSealer(cipher, mac, keys), true)
          const sent = sizes.map((size, index) => Buffer.alloc(size, index + 1))
          for (const payload of sent) writer.packet([payload])
          await new Promise<void>((resolve) => {
            stream.once('finish', resolve)
            writer.flush()
            stream.end()
          })
          const bytes = Buffer.concat(written)
          const reader = new PacketReader(256 * 1024)
          reader.rekeyed(createOpener(cipher, mac, keys), true)
          const got: Buffer[] = []
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const size = cuts[turn % cuts.length] ?? 1
            reader.push(bytes.subarray(at, at + size))
            at += size
            for (let payload = reader.next(); payload !== undefined; payload = reader.next()) got.push(payload)
          }
          expect(got.map((payload) => payload.length)).toEqual(sizes)
          expect(got.every((payload, index) => payload.equals(sent[index] ?? Buffer.alloc(0)))).toBe(true)
        },
      ),
      { numRuns: 40 },
    )
  })

  test('Poly1305 of OpenSSL agrees with another implementation', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 32, maxLength: 32 }), (data, key) => {
        expect(createMac('poly1305', key).update(data).final().equals(poly1305(data, key))).toBe(true)
      }),
    )
  })
})

describe('limits', () => {
  test.each([
    { name: 'zero', limits: { maxChannels: 0 } },
    { name: 'a fraction', limits: { loginGraceMs: 1.5 } },
    { name: 'a transport packet below what the RFC demands', limits: { maxTransportPacket: 30_000 } },
    { name: 'a channel packet that does not fit a transport packet', limits: { maxPacketSize: 256 * 1024 } },
  ])('$name is refused', ({ limits }) => {
    expect(() => resolveLimits(limits)).toThrow(BadParameter)
  })
})
