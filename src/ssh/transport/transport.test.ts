import { describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { AccessDenied } from '../../errors/errors.ts'
import { issueCertificate } from '../certificate/issue.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import { duplexPipe, type PipeOptions } from '../testing/pipe.ts'
import { isAead, knownCiphers, knownKex, knownMacs } from './algorithms.ts'
import { acceptTransport, connectTransport } from './connect.ts'
import type { AcceptOptions, ConnectOptions } from './options.ts'
import type { CipherAlgorithm, HostIdentity, MacAlgorithm, Transport } from './types.ts'

const hostKey = generateEd25519()

interface Ends {
  readonly client?: Partial<ConnectOptions>
  readonly server?: Partial<AcceptOptions>
  readonly pipe?: PipeOptions
}

async function pair(ends: Ends = {}): Promise<{ client: Transport; server: Transport }> {
  const [near, far] = duplexPipe(ends.pipe)
  const [server, client] = await Promise.all([
    acceptTransport({ stream: far, ident: 'Server', hostIdentities: [{ signer: hostKey }], ...ends.server }),
    connectTransport({ stream: near, ident: 'Client', verifyHost: () => undefined, ...ends.client }),
  ])
  client.authenticated()
  server.authenticated()
  return { client, server }
}

const DATA = 94

/** Sends messages and resolves when all have arrived, in order and unchanged. */
async function transfer(from: Transport, to: Transport, sizes: readonly number[]): Promise<void> {
  const payloads = sizes.map((size, index) => Buffer.concat([Buffer.from([DATA]), Buffer.alloc(size, index)]))
  const arrived = new Promise<Buffer[]>((resolve) => {
    const got: Buffer[] = []
    to.start((payload) => {
      got.push(payload)
      if (got.length === payloads.length) resolve(got)
    })
  })
  for (const payload of payloads) {
    if (!from.send(payload.subarray(0, 1), payload.subarray(1))) await from.drained()
  }
  const got = await arrived
  expect(got.every((payload, index) => payload.equals(payloads[index] ?? Buffer.alloc(0)))).toBe(true)
}

const sizes = [0, 1, 15, 16, 17, 255, 4096, 32_768, 100_000]

describe('every key exchange with every cipher and MAC', () => {
  const protections = knownCiphers.flatMap((cipher): { cipher: CipherAlgorithm; mac: MacAlgorithm | undefined }[] =>
    isAead(cipher) ? [{ cipher, mac: undefined }] : knownMacs.map((mac) => ({ cipher, mac })),
  )
  test.each(knownKex.flatMap((kex) => protections.map((protection) => ({ kex, ...protection }))))(
    '$kex $cipher $mac',
    async ({ kex, cipher, mac }) => {
      const algorithms = { kex: [kex], ciphers: [cipher], ...(mac === undefined ? {} : { macs: [mac] }) }
      const { client, server } = await pair({ client: { algorithms }, server: { algorithms } })
      expect(client.negotiated).toMatchObject({ kex, cipherIn: cipher, cipherOut: cipher, macIn: mac, macOut: mac })
      expect(client.sessionId.equals(server.sessionId)).toBe(true)
      await transfer(client, server, sizes)
      await transfer(server, client, sizes)
      await client.rekey()
      await transfer(client, server, sizes)
      await server.rekey()
      await transfer(server, client, sizes)
      client.disconnect(11, 'done')
      expect(await server.closed).toBeUndefined()
    },
  )
})

describe('host keys', () => {
  const authority = generateEd25519()
  const certify = async (signer: HostIdentity['signer']): Promise<HostIdentity> => ({
    signer,
    certificate: await issueCertificate(
      {
        publicKey: signer.publicKey,
        type: 'host',
        keyId: 'host',
        principals: ['host'],
        validAfter: new Date(0),
        validBefore: new Date(4e12),
      },
      authority,
      realEnv,
    ),
  })

  test.each([
    { name: 'Ed25519', make: () => generateEd25519(), algorithm: 'ssh-ed25519' },
    { name: 'ECDSA', make: () => generateEcdsa('nistp384'), algorithm: 'ecdsa-sha2-nistp384' },
    { name: 'RSA', make: () => generateRsa(2048), algorithm: 'rsa-sha2-512' },
  ])('$name, plain and certified', async ({ make, algorithm }) => {
    const signer = make()
    const plain = await pair({ server: { hostIdentities: [{ signer }] } })
    expect(plain.client.negotiated.hostKey).toBe(algorithm)
    expect(plain.client.presentedHostKey?.certificate).toBeUndefined()
    const certified = await pair({ server: { hostIdentities: [await certify(signer)] } })
    expect(certified.client.negotiated.hostKey).toBe(`${algorithm}-cert-v01@openssh.com`)
    expect(certified.client.presentedHostKey?.certificate?.keyId).toBe('host')
    expect(certified.client.hostKeyBlob.equals(certified.server.hostKeyBlob)).toBe(true)
  })

  test('a certified key is not shown plain unless that is wanted', async () => {
    const identity = await certify(generateEd25519())
    const hostKeyAlgorithms = ['ssh-ed25519']
    await expect(pair({ client: { hostKeyAlgorithms }, server: { hostIdentities: [identity] } })).rejects.toThrow(
      'no host key algorithm in common',
    )
    const shown = await pair({
      client: { hostKeyAlgorithms },
      server: { hostIdentities: [{ ...identity, offerPlain: true }] },
    })
    expect(shown.client.negotiated.hostKey).toBe('ssh-ed25519')
  })

  test('a refused host key ends the connection before the login', async () => {
    const verifyHost = async (): Promise<void> => {
      throw new AccessDenied('not this one')
    }
    const [near, far] = duplexPipe()
    const accepting = acceptTransport({ stream: far, ident: 'Server', hostIdentities: [{ signer: hostKey }] })
    const connecting = connectTransport({ stream: near, ident: 'Client', verifyHost })
    await expect(accepting).rejects.toThrow('the host key is not trusted')
    await expect(connecting).rejects.toThrow('not this one')
  })
})

describe('what flows', () => {
  test('messages wait while there is no handler', async () => {
    const { client, server } = await pair()
    server.send(Buffer.from([DATA, 1]))
    server.send(Buffer.from([DATA, 2]))
    await new Promise(setImmediate)
    const got: number[] = []
    await new Promise<void>((resolve) =>
      client.start((payload) => {
        got.push(payload[1] ?? 0)
        if (got.length === 2) resolve()
      }),
    )
    expect(got).toEqual([1, 2])
  })

  test('a paused transport delivers nothing, and all of it after resume', async () => {
    const { client, server } = await pair()
    const got: number[] = []
    const all = new Promise<void>((resolve) =>
      client.start((payload) => {
        got.push(payload[1] ?? 0)
        if (got.length === 1) client.pause()
        if (got.length === 3) resolve()
      }),
    )
    for (const value of [1, 2, 3]) server.send(Buffer.from([DATA, value]))
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    expect(got).toEqual([1])
    client.resume()
    await all
    expect(got).toEqual([1, 2, 3])
  })

  test('a sender is told to wait above the high-water mark, and woken below', async () => {
    const { client, server } = await pair({ client: { limits: { highWaterMark: 64 * 1024 } } })
    server.start(() => undefined)
    server.pause()
    const block = Buffer.alloc(32 * 1024, DATA)
    let sent = 0
    while (client.send(block)) sent++
    expect(sent).toBeLessThan(4)
    let woken = false
    const drained = client.drained().then(() => {
      woken = true
    })
    server.resume()
    await drained
    expect(woken).toBe(true)
  })

  test('keys are renewed by volume without losing or reordering anything', async () => {
    const { client, server } = await pair({
      client: { limits: { rekeyBytes: 100_000 } },
      server: { limits: { rekeyBytes: 150_000 } },
    })
    const first = Buffer.from(client.sessionId)
    const many = Array.from({ length: 200 }, (_, index) => (index * 977) % 30_000)
    await Promise.all([transfer(client, server, many), transfer(server, client, many)])
    expect(client.sessionId.equals(first)).toBe(true)
  })

  test('both sides may start to renew at the same time', async () => {
    const { client, server } = await pair()
    await Promise.all([client.rekey(), server.rekey()])
    await transfer(client, server, [1000])
  })

  test('the end of the stream without a farewell is an error', async () => {
    const [near, far] = duplexPipe()
    const accepted = acceptTransport({ stream: far, ident: 'Server', hostIdentities: [{ signer: hostKey }] })
    const client = await connectTransport({ stream: near, ident: 'Client', verifyHost: () => undefined })
    const server = await accepted
    near.destroy()
    expect((await server.closed)?.message).toContain('closed the connection')
    client.disconnect(11, 'late')
  })

  test('an aborted signal ends connecting', async () => {
    const [near] = duplexPipe()
    const abort = new AbortController()
    const connecting = connectTransport({
      stream: near,
      ident: 'Client',
      verifyHost: () => undefined,
      signal: abort.signal,
    })
    abort.abort()
    await expect(connecting).rejects.toThrow('cancelled')
  })
})

describe('preamble', () => {
  test('is verified before anything else of the client is looked at', async () => {
    const seen: string[] = []
    const { server } = await pair({
      client: { preamble: 'FRONT eyJ9\r\n' },
      server: {
        preamble: {
          prefix: 'FRONT',
          verify: async (text) => {
            seen.push(text)
          },
        },
      },
    })
    expect(seen).toEqual(['eyJ9'])
    expect(server.remoteVersion).toBe('SSH-2.0-Client')
  })

  test('is optional', async () => {
    const { server } = await pair({
      server: { preamble: { prefix: 'FRONT', verify: () => Promise.reject(new Error('no')) } },
    })
    expect(server.isClosed).toBe(false)
  })

  test('that is refused ends the connection', async () => {
    const verify = async (): Promise<void> => {
      throw new AccessDenied('forged')
    }
    await expect(
      pair({ client: { preamble: 'FRONT x\r\n' }, server: { preamble: { prefix: 'FRONT', verify } } }),
    ).rejects.toThrow()
  })

  test('of another program is refused', async () => {
    await expect(pair({ client: { preamble: 'PROXY TCP4 1.2.3.4\r\n' } })).rejects.toThrow('does not speak SSH')
  })
})

describe('the guessed first message', () => {
  test.each([
    { name: 'right', client: {}, server: {} },
    { name: 'of another method', client: {}, server: { algorithms: { kex: ['curve25519-sha256'] as const } } },
    { name: 'with another host key', client: {}, server: { hostIdentities: [{ signer: generateEcdsa('nistp256') }] } },
    { name: 'not made', client: { guess: false }, server: {} },
  ])('may be $name', async ({ client, server }) => {
    const ends = await pair({ client, server })
    await transfer(ends.client, ends.server, [10])
  })
})

describe('ciphers a server offers', () => {
  test('GCM alone when the client knows it, whatever the client prefers', async () => {
    const { client } = await pair({
      client: { algorithms: { ciphers: ['chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes128-gcm@openssh.com'] } },
    })
    expect(client.negotiated.cipherOut).toBe('aes128-gcm@openssh.com')
  })
  test('the configured ones when there is a configuration', async () => {
    const ciphers = ['chacha20-poly1305@openssh.com', 'aes256-gcm@openssh.com'] as const
    const { client } = await pair({ client: { algorithms: { ciphers } }, server: { algorithms: { ciphers } } })
    expect(client.negotiated.cipherOut).toBe('chacha20-poly1305@openssh.com')
  })
  test('all when the client does not know GCM', async () => {
    const { client } = await pair({ client: { algorithms: { ciphers: ['aes192-ctr'] } } })
    expect(client.negotiated.cipherOut).toBe('aes192-ctr')
  })
})
