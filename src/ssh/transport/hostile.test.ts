/** What a hostile or broken peer can try against the transport (SECURITY groups S2, S3, S8, S9, S10, S11, S13, S14, S16). */

import { describe, expect, test } from 'vitest'
import { generateEd25519 } from '../keys/private-key.ts'
import { ManualEnv } from '../testing/manual-env.ts'
import { duplexPipe, type PipeOptions } from '../testing/pipe.ts'
import { RawPeer, type RawPeerOptions } from '../testing/raw-peer.ts'
import { WireWriter } from '../wire/writer.ts'
import { isAead, knownCiphers, knownMacs } from './algorithms.ts'
import { acceptTransport, connectTransport } from './connect.ts'
import { encodeKexInit, type KexInit } from './kexinit.ts'
import { DisconnectReason, Message } from './messages.ts'
import type { AcceptOptions, ConnectOptions } from './options.ts'
import type { Transport } from './types.ts'

const hostKey = generateEd25519()
const IGNORE = new WireWriter().byte(Message.IGNORE).string('x').take()
const DEBUG = new WireWriter().byte(Message.DEBUG).boolean(false).string('x').string('').take()
const KEXINIT: KexInit = {
  kex: ['curve25519-sha256', 'kex-strict-c-v00@openssh.com'],
  hostKeys: ['ssh-ed25519'],
  ciphersToServer: ['aes256-gcm@openssh.com'],
  ciphersToClient: ['aes256-gcm@openssh.com'],
  macsToServer: [],
  macsToClient: [],
  compressionToServer: ['none'],
  compressionToClient: ['none'],
  firstKexPacketFollows: false,
}
const kexInit = (change: Partial<KexInit> = {}): Buffer => encodeKexInit({ ...KEXINIT, ...change }, Buffer.alloc(16))

interface Setup {
  readonly raw?: Partial<RawPeerOptions>
  readonly server?: Partial<AcceptOptions>
  readonly pipe?: PipeOptions
}

/** A raw client before our server. */
function against(setup: Setup = {}): { raw: RawPeer; accepted: Promise<Transport> } {
  const [near, far] = duplexPipe(setup.pipe)
  const accepted = acceptTransport({
    stream: far,
    ident: 'Server',
    hostIdentities: [{ signer: hostKey }],
    ...setup.server,
  })
  accepted.catch(() => undefined)
  return { raw: new RawPeer({ stream: near, role: 'client', ...setup.raw }), accepted }
}

/** The same after the key exchange. */
async function established(setup: Setup = {}): Promise<{ raw: RawPeer; server: Transport; handled: Buffer[] }> {
  const { raw, accepted } = against(setup)
  await raw.handshake()
  const server = await accepted
  const handled: Buffer[] = []
  server.start((payload) => handled.push(payload))
  return { raw, server, handled }
}

const turns = async (count = 10): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

describe('before the first keys, with strict key exchange', () => {
  const start = kexInit()
  test.each([
    { name: 'IGNORE before KEXINIT', send: [IGNORE, start] },
    { name: 'DEBUG before KEXINIT', send: [DEBUG, start] },
    { name: 'IGNORE between KEXINIT and NEWKEYS', send: [start, IGNORE] },
    { name: 'DEBUG between KEXINIT and NEWKEYS', send: [start, DEBUG] },
    { name: 'UNIMPLEMENTED in between', send: [start, Buffer.from([Message.UNIMPLEMENTED, 0, 0, 0, 0])] },
    { name: 'an unknown message in between', send: [start, Buffer.from([200])] },
    { name: 'EXT_INFO in between', send: [start, Buffer.from([Message.EXT_INFO, 0, 0, 0, 0])] },
    { name: 'two KEXINITs', send: [start, start] },
    { name: 'NEWKEYS at once', send: [start, Buffer.from([Message.NEWKEYS])] },
    { name: 'NEWKEYS before KEXINIT', send: [Buffer.from([Message.NEWKEYS])] },
    { name: 'a key exchange reply from a client', send: [start, Buffer.from([Message.KEX_REPLY])] },
    { name: 'a service request', send: [new WireWriter().byte(5).string('ssh-userauth').take()] },
    { name: 'a login', send: [start, Buffer.from([Message.USERAUTH_REQUEST])] },
    { name: 'a channel', send: [Buffer.from([90])] },
  ])('$name ends the connection', async ({ send }) => {
    const { raw, accepted } = against()
    raw.sendVersion()
    for (const payload of send) raw.send(payload)
    const { disconnect } = await raw.untilClosed()
    expect(disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
    await expect(accepted).rejects.toThrow()
  })

  test('strict key exchange is offered, and sequence numbers start again on both sides', async () => {
    // ChaCha20 takes the sequence number as its nonce: a message that arrives proves the reset.
    const { raw } = await established({ raw: { algorithms: { ciphers: ['chacha20-poly1305@openssh.com'] } } })
    expect(raw.kex.strict).toBe(true)
    raw.send(Buffer.from([222]))
    expect((await raw.receiveType(Message.UNIMPLEMENTED)).readUInt32BE(1)).toBe(0)
  })
})

describe('noise before the first keys without strict key exchange', () => {
  test('is bounded', async () => {
    const { raw } = against()
    raw.sendVersion()
    raw.send(kexInit({ kex: ['curve25519-sha256'] }))
    for (let count = 0; count < 50; count++) raw.send(IGNORE)
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
  })
})

describe('offers', () => {
  test.each([
    { name: 'compression', change: { compressionToServer: ['zlib', 'zlib@openssh.com'] } },
    { name: 'SHA-1 key exchange', change: { kex: ['diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'] } },
    { name: 'CBC', change: { ciphersToServer: ['aes256-cbc', '3des-cbc'] } },
    { name: 'DSA and SHA-1 host keys', change: { hostKeys: ['ssh-dss', 'ssh-rsa'] } },
    {
      name: 'MAC then encrypt',
      change: { ciphersToServer: ['aes256-ctr'], macsToServer: ['hmac-sha2-256', 'hmac-sha1'] },
    },
    {
      name: 'NIST curves, unless configured',
      change: { kex: ['ecdh-sha2-nistp256', 'diffie-hellman-group14-sha256'] },
    },
    { name: 'no encryption', change: { ciphersToServer: ['none'] } },
    { name: 'the pseudo algorithms alone', change: { kex: ['ext-info-s', 'kex-strict-s-v00@openssh.com'] } },
  ])('of $name find nothing in common', async ({ change }) => {
    const { raw } = against()
    raw.sendVersion()
    raw.send(kexInit(change))
    expect((await raw.untilClosed()).disconnect).toMatchObject({ reason: DisconnectReason.KEY_EXCHANGE_FAILED })
  })
})

describe('key exchange values', () => {
  const string = (value: Buffer): Buffer => new WireWriter().byte(Message.KEX_INIT).string(value).take()
  const mpint = (value: Buffer): Buffer => new WireWriter().byte(Message.KEX_INIT).mpint(value).take()
  test.each([
    { name: 'an all-zero X25519 point', kex: 'curve25519-sha256', value: string(Buffer.alloc(32)) },
    {
      name: 'an X25519 point of low order',
      kex: 'curve25519-sha256',
      value: string(Buffer.from([1, ...Buffer.alloc(31)])),
    },
    { name: 'a short X25519 point', kex: 'curve25519-sha256', value: string(Buffer.alloc(31, 9)) },
    { name: 'an ML-KEM key out of range', kex: 'mlkem768x25519-sha256', value: string(Buffer.alloc(1216, 0xff)) },
    { name: 'an ML-KEM key with an all-zero point', kex: 'mlkem768x25519-sha256', value: string(Buffer.alloc(1216)) },
    { name: 'an ML-KEM key of the wrong size', kex: 'mlkem768x25519-sha256', value: string(Buffer.alloc(1184)) },
    { name: 'zero in a group', kex: 'diffie-hellman-group16-sha512', value: mpint(Buffer.alloc(0)) },
    { name: 'one in a group', kex: 'diffie-hellman-group16-sha512', value: mpint(Buffer.from([1])) },
    { name: 'more than the prime', kex: 'diffie-hellman-group16-sha512', value: mpint(Buffer.alloc(512, 0xff)) },
    {
      name: 'a point off the curve',
      kex: 'ecdh-sha2-nistp256',
      value: string(Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 5)])),
    },
    {
      name: 'a compressed point',
      kex: 'ecdh-sha2-nistp256',
      value: string(Buffer.concat([Buffer.from([2]), Buffer.alloc(32, 5)])),
    },
    { name: 'an empty point', kex: 'ecdh-sha2-nistp384', value: string(Buffer.alloc(0)) },
  ] as const)('$name is refused', async ({ kex, value }) => {
    const { raw } = against({ server: { algorithms: { kex: [kex] } } })
    raw.sendVersion()
    raw.send(kexInit({ kex: [kex] }))
    raw.send(value)
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.KEY_EXCHANGE_FAILED)
  })
})

describe('before the login', () => {
  test.each([
    { name: 'a channel', type: 90 },
    { name: 'a global request', type: 80 },
    { name: 'channel data', type: 94 },
    { name: 'USERAUTH_SUCCESS from a client', type: 52 },
    { name: 'USERAUTH_FAILURE from a client', type: 51 },
    { name: 'USERAUTH_BANNER from a client', type: 53 },
    { name: 'SERVICE_ACCEPT from a client', type: 6 },
    { name: 'PK_OK from a client', type: 60 },
    { name: 'an answer to keyboard-interactive, which was not asked', type: 61 },
  ])('$name ends the connection and reaches no handler', async ({ type }) => {
    const { raw, handled } = await established()
    raw.send(Buffer.from([type, 0, 0, 0, 0]))
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
    expect(handled).toEqual([])
  })

  test('a server cannot open channels towards a client that has not logged in', async () => {
    const [near, far] = duplexPipe()
    const raw = new RawPeer({ stream: far, role: 'server' })
    const connecting = connectTransport({ stream: near, ident: 'Client', verifyHost: () => undefined })
    await raw.handshake()
    const client = await connecting
    client.start(() => undefined)
    raw.send(Buffer.from([90]))
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
  })

  test('unknown messages are answered with UNIMPLEMENTED and their sequence number', async () => {
    const { raw } = await established()
    raw.send(IGNORE)
    raw.send(Buffer.from([222]))
    const answer = await raw.receiveType(Message.UNIMPLEMENTED)
    expect(answer.readUInt32BE(1)).toBe(1)
  })

  test('a silent socket is dropped when the login grace is over', async () => {
    const env = new ManualEnv()
    const { raw, accepted } = against({ server: { env } })
    env.advance(119_999)
    await turns()
    expect(raw.stream.readableEnded).toBe(false)
    env.advance(1)
    expect((await raw.untilClosed()).disconnect?.text).toContain('too long')
    await expect(accepted).rejects.toThrow('too long')
  })

  test('so is one that sends a byte now and then, and one that stops after the key exchange', async () => {
    const env = new ManualEnv()
    const slow = against({ server: { env } })
    const stopped = await established({ server: { env } })
    for (const byte of 'SSH-2.0-slow') {
      slow.raw.sendBytes(byte)
      await turns(1)
      env.advance(10_000)
    }
    await expect(slow.accepted).rejects.toThrow('too long')
    expect((await stopped.server.closed)?.message).toContain('too long')
  })
})

describe('version lines', () => {
  test.each([
    { name: 'a browser', bytes: 'GET / HTTP/1.1\r\n\r\n' },
    { name: 'protocol 1', bytes: 'SSH-1.5-old\r\n' },
    { name: 'a line without end', bytes: `SSH-2.0-${'x'.repeat(300)}` },
    { name: 'control characters', bytes: 'SSH-2.0-a\x1b[31m\r\n' },
    { name: 'binary rubbish', bytes: Buffer.alloc(1000, 0xff) },
  ])('$name is refused', async ({ bytes }) => {
    const { raw, accepted } = against()
    raw.sendBytes(bytes as Buffer)
    await expect(accepted).rejects.toThrow(/SSH/)
    await raw.untilClosed()
  })

  test('a server may greet with lines first, but not without end', async () => {
    const greet = async (lines: number): Promise<Transport> => {
      const [near, far] = duplexPipe()
      const connecting = connectTransport({ stream: near, ident: 'Client', verifyHost: () => undefined })
      connecting.catch(() => undefined)
      const raw = new RawPeer({ stream: far, role: 'server' })
      raw.sendBytes('Welcome\r\n'.repeat(lines))
      raw.handshake().catch(() => undefined)
      return await connecting
    }
    await expect(greet(20)).resolves.toMatchObject({ remoteVersion: 'SSH-2.0-Raw' })
    await expect(greet(1000)).rejects.toThrow('before its SSH version')
  })
})

describe('packets', () => {
  test.each([
    { name: 'length 0', length: 0 },
    { name: 'length 4', length: 4 },
    { name: 'an odd length', length: 35_001 },
    { name: 'a length above the limit', length: 300_000 },
    { name: 'the largest length', length: 0xffff_ffff },
  ])('with $name are refused at once', async ({ length }) => {
    const { raw, accepted } = against()
    raw.sendVersion()
    const header = Buffer.alloc(16)
    header.writeUInt32BE(length)
    raw.sendBytes(header)
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
    await expect(accepted).rejects.toThrow('malformed packet')
  })

  test.each([
    { name: 'less padding than 4 bytes', padding: 3 },
    { name: 'more padding than there is packet', padding: 255 },
    { name: 'no payload', padding: 11 },
  ])('with $name are refused', async ({ padding }) => {
    const { raw, accepted } = against()
    raw.sendVersion()
    raw.sendBytes(Buffer.from([0, 0, 0, 12, padding, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    await raw.untilClosed()
    await expect(accepted).rejects.toThrow('impossible padding')
  })

  const protections = knownCiphers.flatMap((cipher) =>
    isAead(cipher) ? [{ cipher, macs: knownMacs }] : knownMacs.map((mac) => ({ cipher, macs: [mac] })),
  )
  test.each(protections)(
    'a flipped bit anywhere under $cipher $macs never reaches a handler',
    async ({ cipher, macs }) => {
      for (let position = 0; position < 60; position += 3) {
        let armed = false
        const forward = (chunk: Buffer): Buffer => {
          if (!armed) return chunk
          const changed = Buffer.from(chunk)
          const at = position % changed.length
          changed[at] = (changed[at] ?? 0) ^ (1 << (position % 8))
          return changed
        }
        const { raw, server, handled } = await established({
          pipe: { forward },
          raw: { algorithms: { ciphers: [cipher], macs } },
          server: { algorithms: { ciphers: [cipher], macs } },
        })
        server.authenticated()
        server.start((payload) => handled.push(payload))
        armed = true
        raw.send(Buffer.concat([Buffer.from([94]), Buffer.alloc(30, 7)]))
        await turns(3)
        // A changed length may make the server wait for more bytes than there are; more bytes then end it.
        for (let more = 0; more < 20 && !server.isClosed; more++) {
          raw.send(Buffer.alloc(32_000, 94))
          await turns(2)
        }
        expect(server.isClosed).toBe(true)
        expect(handled).toEqual([])
      }
    },
  )
})

describe('floods', () => {
  test('pings that are not read stop us from reading more', async () => {
    const { raw, server } = await established({ pipe: { backward: (chunk) => chunk } })
    raw.stream.pause()
    const ping = new WireWriter().byte(Message.PING).string(Buffer.alloc(1000)).take()
    for (let count = 0; count < 20_000; count++) raw.send(ping)
    await turns(50)
    expect(server.bytesOut).toBeLessThan(2 * 1024 * 1024)
    expect(server.isClosed).toBe(false)
  })

  test('extension information without end is refused', async () => {
    const { raw } = await established()
    for (let count = 0; count < 5; count++) raw.send(Buffer.from([Message.EXT_INFO, 0, 0, 0, 0]))
    expect((await raw.untilClosed()).disconnect?.text).toContain('EXT_INFO')
  })

  test('a huge count of extensions costs nothing', async () => {
    const { raw } = await established()
    raw.send(Buffer.from([Message.EXT_INFO, 0xff, 0xff, 0xff, 0xff]))
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
  })
})

describe('renewing keys', () => {
  async function loggedIn(setup: Setup = {}): Promise<{ raw: RawPeer; server: Transport; handled: Buffer[] }> {
    const ends = await established(setup)
    ends.server.authenticated()
    ends.server.start((payload) => ends.handled.push(payload))
    return ends
  }

  test('KEXINIT and then silence is cut', async () => {
    const env = new ManualEnv()
    const { raw, server } = await loggedIn({ server: { env } })
    raw.kex.begin()
    await raw.receiveType(Message.KEXINIT)
    env.advance(60_000)
    expect((await server.closed)?.message).toContain('took too long')
  })

  test('a peer that ignores our KEXINIT is cut', async () => {
    const env = new ManualEnv()
    const { server } = await loggedIn({ server: { env } })
    const rekey = server.rekey()
    env.advance(60_000)
    await expect(rekey).rejects.toThrow('took too long')
  })

  test('data after its own KEXINIT is fatal', async () => {
    const { raw, handled } = await loggedIn()
    raw.kex.begin()
    raw.send(Buffer.from([94, 1]))
    expect((await raw.untilClosed()).disconnect?.text).toContain('during a key exchange')
    expect(handled).toEqual([])
  })

  test('data before its KEXINIT, after ours, is delivered', async () => {
    const { raw, server, handled } = await loggedIn()
    void server.rekey().catch(() => undefined)
    await raw.receiveType(Message.KEXINIT)
    raw.send(Buffer.from([94, 1]))
    await turns()
    expect(handled).toEqual([Buffer.from([94, 1])])
  })

  test('what we queue meanwhile is bounded', async () => {
    const { raw, server } = await loggedIn({ server: { limits: { maxRekeyQueue: 100_000 } } })
    void server.rekey().catch(() => undefined)
    for (let count = 0; count < 5; count++) server.send(Buffer.alloc(30_000, 94))
    expect((await raw.untilClosed()).disconnect?.text).toContain('waiting for the end of a key exchange')
  })

  test('exchanges without data in between are cut', async () => {
    const { raw } = await loggedIn()
    const flood = async (): Promise<void> => {
      for (let count = 0; count < 100; count++) await raw.exchangeKeys()
    }
    await expect(flood()).rejects.toThrow('too many key exchanges')
  })

  test('exchanges with data in between are not', async () => {
    const { raw, handled } = await loggedIn()
    for (let count = 0; count < 30; count++) {
      for (let part = 0; part < 3; part++) raw.send(Buffer.alloc(30_000, 94))
      await raw.exchangeKeys()
    }
    expect(handled.length).toBe(90)
  })

  test('a server that changes its host key is refused', async () => {
    const [near, far] = duplexPipe()
    const connecting = connectTransport({
      stream: near,
      ident: 'Client',
      verifyHost: () => undefined,
    } satisfies ConnectOptions)
    const identities = [{ signer: generateEd25519() }]
    const accepting = acceptTransport({ stream: far, ident: 'Server', hostIdentities: identities })
    const [client, server] = await Promise.all([connecting, accepting])
    // The engine never does this: the blob of the first exchange is swapped under the client's feet.
    client.hostKeyBlob.fill(0, 30)
    await expect(server.rekey()).rejects.toThrow()
    expect((await client.closed)?.message).toContain('changed its host key')
  })
})
