/** User authentication: our two sides with each other, and hostile peers against each (SECURITY S3, S5, S7, V11). */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { publicKeyAlgorithmName } from '../certificate/algorithms.ts'
import { issueCertificate } from '../certificate/issue.ts'
import type { ClientIdentity } from '../client-types.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import type { PrivateKey, SignatureAlgorithm } from '../keys/types.ts'
import type { AuthDecision, AuthRequest } from '../server-types.ts'
import { duplexPipe } from '../testing/pipe.ts'
import { RawPeer } from '../testing/raw-peer.ts'
import { acceptTransport, connectTransport } from '../transport/connect.ts'
import { DisconnectReason, Message } from '../transport/messages.ts'
import type { Transport } from '../transport/types.ts'
import { WireError } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { authenticateClient } from './client.ts'
import { offeredKey, parseRequest, passwordRequest, publicKeyRequest, signedData } from './request.ts'
import { authenticateServer } from './server.ts'
import type { ClientAuthOptions, ServerAuthOptions, ServerAuthResult } from './types.ts'

const hostKey = generateEd25519()
const alice = generateEd25519()
const rsa = generateRsa(2048)
const p256 = generateEcdsa('nistp256')
const p384 = generateEcdsa('nistp384')
const authority = generateEd25519()

async function certify(signer: PrivateKey): Promise<ClientIdentity> {
  const certificate = await issueCertificate(
    {
      publicKey: signer.publicKey,
      type: 'user',
      keyId: 'alice@example',
      principals: ['alice'],
      validAfter: new Date(0),
      validBefore: new Date(4e12),
    },
    authority,
    realEnv,
  )
  return { signer, certificate }
}

interface Policy extends Partial<Pick<ServerAuthOptions<string>, 'methods' | 'banner' | 'authenticate'>> {}

interface Log {
  readonly asked: AuthRequest[]
  readonly failed: { readonly method: string | undefined; readonly reason: string }[]
}

const allowKey =
  (key: PrivateKey) =>
  async (request: AuthRequest): Promise<AuthDecision<string>> =>
    request.method === 'publickey' && request.publicKey.blob.equals(key.publicKey.blob)
      ? { allow: true, identity: 'alice' }
      : { allow: false, reason: 'not alice' }

function serve(transport: Transport, policy: Policy, log: Log): Promise<ServerAuthResult<string>> {
  const decide = policy.authenticate ?? allowKey(alice)
  return authenticateServer({
    transport,
    methods: policy.methods ?? ['publickey'],
    ...(policy.banner === undefined ? {} : { banner: policy.banner }),
    authenticate: (request) => {
      log.asked.push(request)
      return decide(request)
    },
    authFailed: (request, reason) => log.failed.push({ method: request?.method, reason }),
  })
}

const newLog = (): Log => ({ asked: [], failed: [] })

async function login(policy: Policy, options: Partial<ClientAuthOptions>) {
  const [near, far] = duplexPipe()
  const log = newLog()
  const [server, client] = await Promise.all([
    acceptTransport({ stream: far, ident: 'Server', hostIdentities: [{ signer: hostKey }] }),
    connectTransport({ stream: near, ident: 'Client', verifyHost: () => undefined }),
  ])
  const [served, entered] = await Promise.allSettled([
    serve(server, policy, log),
    authenticateClient({ transport: client, user: 'alice', identities: [], ...options }),
  ])
  return { server, client, served, entered, log }
}

describe('logins', () => {
  test.each([
    { name: 'Ed25519', key: alice },
    { name: 'ECDSA 256', key: p256 },
    { name: 'ECDSA 384', key: p384 },
    { name: 'RSA', key: rsa },
  ])('with a key and with a certificate: $name', async ({ key }) => {
    const plain = await login({ authenticate: allowKey(key) }, { identities: [{ signer: key }] })
    expect(plain.served).toMatchObject({ status: 'fulfilled', value: { user: 'alice', identity: 'alice' } })
    const certified = await login({ authenticate: allowKey(key) }, { identities: [await certify(key)] })
    expect(certified.served).toMatchObject({ value: { certificate: { keyId: 'alice@example' } } })
  })

  test('one candidate is proven at once, without a query', async () => {
    const { log } = await login({}, { identities: [{ signer: alice }] })
    expect(log.asked.map((request) => request.method === 'publickey' && request.signed)).toEqual([true])
  })

  test('several candidates are asked about first, certificates before keys', async () => {
    const { served, log } = await login({}, { identities: [{ signer: p256 }, await certify(alice)] })
    expect(served.status).toBe('fulfilled')
    expect(log.asked).toMatchObject([
      { signed: false, certificate: { keyId: 'alice@example' } },
      { signed: true, certificate: { keyId: 'alice@example' } },
    ])
  })

  test('a password comes after the keys', async () => {
    const authenticate = async (request: AuthRequest): Promise<AuthDecision<string>> =>
      request.method === 'password' && request.password === 'secret'
        ? { allow: true, identity: 'token' }
        : { allow: false, reason: 'no' }
    const { served, log } = await login(
      { authenticate, methods: ['publickey', 'password'] },
      { identities: [{ signer: alice }], password: 'secret' },
    )
    expect(served).toMatchObject({ value: { identity: 'token', certificate: undefined } })
    expect(log.failed).toEqual([{ method: 'publickey', reason: 'no' }])
  })

  test('a refusal says what was tried and what the server accepts', async () => {
    const { entered, served } = await login({}, { identities: [{ signer: p256 }], password: 'x' })
    expect(entered).toMatchObject({ status: 'rejected', reason: { kind: 'AccessDenied' } })
    expect(String((entered as PromiseRejectedResult).reason)).toContain(
      'tried key ecdsa-sha2-nistp256; the server accepts publickey',
    )
    expect(served.status).toBe('rejected')
  })

  test('banners reach the caller before the end', async () => {
    const seen: string[] = []
    await login({ banner: 'Keep out\n' }, { identities: [{ signer: alice }], onBanner: (text) => seen.push(text) })
    expect(seen).toEqual(['Keep out\n'])
  })

  test('a locked account is told so, and cut', async () => {
    const authenticate = async (): Promise<AuthDecision<string>> => ({
      allow: false,
      reason: 'locked',
      disconnect: 'account locked',
    })
    const { entered } = await login({ authenticate }, { identities: [{ signer: alice }] })
    expect(entered).toMatchObject({ reason: { kind: 'AccessDenied' } })
    expect(String((entered as PromiseRejectedResult).reason)).toContain('account locked')
  })

  test('messages of the connection protocol that follow the login wait for their handler', async () => {
    const { server, client } = await login({}, { identities: [{ signer: alice }] })
    server.send(Buffer.from([80, 1]))
    const payload = await new Promise<Buffer>((resolve) => client.start(resolve))
    expect(payload[0]).toBe(80)
  })

  test('an error of the policy ends the connection, not the process', async () => {
    const authenticate = async (): Promise<AuthDecision<string>> => {
      throw new Error('database gone')
    }
    const { entered, served } = await login({ authenticate }, { identities: [{ signer: alice }] })
    expect([entered.status, served.status]).toEqual(['rejected', 'rejected'])
    expect(String((entered as PromiseRejectedResult).reason)).not.toContain('database')
  })
})

async function rawClient(policy: Policy = {}) {
  const [near, far] = duplexPipe()
  const log = newLog()
  const raw = new RawPeer({ stream: near, role: 'client' })
  const accepting = acceptTransport({ stream: far, ident: 'Server', hostIdentities: [{ signer: hostKey }] })
  await raw.handshake()
  const server = await accepting
  const served = serve(server, policy, log)
  served.catch(() => undefined)
  const sign = (request: Buffer, key: PrivateKey, algorithm?: SignatureAlgorithm): Buffer =>
    key.signSync(signedData(raw.kex.sessionId ?? Buffer.alloc(0), request), algorithm)
  return { raw, served, log, sign, server }
}

const withSignature = (request: Buffer, signature: Buffer): Buffer =>
  Buffer.concat([request, new WireWriter().string(signature).take()])

const nameOf = (key: PrivateKey, algorithm: SignatureAlgorithm): string =>
  publicKeyAlgorithmName(key.publicKey.type, algorithm)
const query = (key: PrivateKey): Buffer =>
  publicKeyRequest('alice', nameOf(key, key.algorithms[0] ?? 'ssh-ed25519'), key.publicKey.blob, undefined, false)

describe('hostile clients', () => {
  test('a login without the service request is refused', async () => {
    const { raw, log } = await rawClient()
    raw.send(query(alice))
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
    expect(log.asked).toEqual([])
  })

  test.each(['ssh-connection', 'none'])('the service %s does not exist before the login', async (service) => {
    const { raw } = await rawClient()
    raw.send(new WireWriter().byte(Message.SERVICE_REQUEST).string(service).take())
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.SERVICE_NOT_AVAILABLE)
  })

  test('a query is no proof: offering a good key and proving another gives nothing', async () => {
    const { raw, log, sign } = await rawClient()
    await raw.requestService()
    raw.send(query(alice))
    await raw.receiveType(Message.USERAUTH_PK_OK)
    const request = publicKeyRequest('alice', 'ecdsa-sha2-nistp256', p256.publicKey.blob, undefined, true)
    raw.send(withSignature(request, sign(request, p256)))
    await raw.receiveType(Message.USERAUTH_FAILURE)
    expect(log.failed).toEqual([{ method: 'publickey', reason: 'not alice' }])
  })

  test.each([
    { name: 'over another session', spoil: (request: Buffer) => alice.signSync(signedData(Buffer.alloc(32), request)) },
    {
      name: 'of another key',
      spoil: (request: Buffer, session: Buffer) => generateEd25519().signSync(signedData(session, request)),
    },
    {
      name: 'over another user',
      spoil: (_: Buffer, session: Buffer) =>
        alice.signSync(
          signedData(session, publicKeyRequest('root', 'ssh-ed25519', alice.publicKey.blob, undefined, true)),
        ),
    },
    { name: 'over a query', spoil: (_: Buffer, session: Buffer) => alice.signSync(signedData(session, query(alice))) },
    { name: 'that is empty', spoil: () => Buffer.alloc(0) },
    { name: 'of garbage', spoil: () => Buffer.alloc(83, 1) },
  ])('a signature $name is refused before the policy is asked', async ({ spoil }) => {
    const { raw, log } = await rawClient()
    await raw.requestService()
    const request = publicKeyRequest('alice', 'ssh-ed25519', alice.publicKey.blob, undefined, true)
    raw.send(withSignature(request, spoil(request, raw.kex.sessionId ?? Buffer.alloc(0))))
    await raw.receiveType(Message.USERAUTH_FAILURE)
    expect(log.asked).toEqual([])
    expect(log.failed).toEqual([{ method: 'publickey', reason: 'the signature does not match the key' }])
  })

  test('a proof for another server is refused', async () => {
    const { raw, log, sign } = await rawClient()
    await raw.requestService()
    const request = publicKeyRequest(
      'alice',
      'ssh-ed25519',
      alice.publicKey.blob,
      generateEd25519().publicKey.blob,
      true,
    )
    raw.send(withSignature(request, sign(request, alice)))
    await raw.receiveType(Message.USERAUTH_FAILURE)
    expect(log.asked).toEqual([])
  })

  describe('algorithm, key and signature are accepted only when all three agree', () => {
    const keys = [
      { label: 'rsa', key: rsa },
      { label: 'ed25519', key: alice },
      { label: 'p256', key: p256 },
      { label: 'p384', key: p384 },
    ]
    const names = [
      'rsa-sha2-512',
      'rsa-sha2-256',
      'ssh-ed25519',
      'ecdsa-sha2-nistp256',
      'ecdsa-sha2-nistp384',
      'ssh-rsa',
      'rsa-sha2-512-cert-v01@openssh.com',
    ]
    const rows = names.flatMap((name) => keys.flatMap((blob) => keys.map((signer) => ({ name, blob, signer }))))
    test('in all combinations', async () => {
      const accepted: string[] = []
      for (const { name, blob, signer } of rows) {
        for (const algorithm of signer.key.algorithms) {
          const allow = async (): Promise<AuthDecision<string>> => ({ allow: true, identity: 'x' })
          const { raw, sign } = await rawClient({ authenticate: allow })
          await raw.requestService()
          const request = publicKeyRequest('alice', name, blob.key.publicKey.blob, undefined, true)
          raw.send(withSignature(request, sign(request, signer.key, algorithm)))
          const answer = await raw.receive()
          if (answer?.[0] === Message.USERAUTH_SUCCESS) accepted.push(`${name} ${blob.label} ${algorithm}`)
          raw.stream.destroy()
        }
      }
      expect(accepted.sort()).toEqual([
        'ecdsa-sha2-nistp256 p256 ecdsa-sha2-nistp256',
        'ecdsa-sha2-nistp384 p384 ecdsa-sha2-nistp384',
        'rsa-sha2-256 rsa rsa-sha2-256',
        'rsa-sha2-512 rsa rsa-sha2-512',
        'ssh-ed25519 ed25519 ssh-ed25519',
      ])
    })
  })

  test.each([
    {
      name: 'the user name',
      second: new WireWriter().byte(50).string('root').string('ssh-connection').string('none').take(),
    },
    {
      name: 'the service',
      second: new WireWriter().byte(50).string('alice').string('ssh-userauth').string('none').take(),
    },
  ])('$name may not change between attempts', async ({ second }) => {
    const { raw } = await rawClient()
    await raw.requestService()
    raw.send(query(p256))
    await raw.receiveType(Message.USERAUTH_FAILURE)
    raw.send(second)
    expect((await raw.untilClosed()).disconnect).toBeDefined()
  })

  test.each([
    { name: 'queries', request: () => query(p256) },
    { name: 'passwords, although none are accepted', request: () => passwordRequest('alice', 'guess') },
    {
      name: 'unknown methods',
      request: () => new WireWriter().byte(50).string('alice').string('ssh-connection').string('hostbased').take(),
    },
    {
      name: 'empty attempts',
      request: () => new WireWriter().byte(50).string('alice').string('ssh-connection').string('none').take(),
    },
  ])('$name are cut after six refusals', async ({ request }) => {
    const { raw } = await rawClient()
    await raw.requestService()
    for (let count = 0; count < 30; count++) raw.send(request())
    const { disconnect, messages } = await raw.untilClosed()
    expect(disconnect?.text).toBe('Too many authentication failures')
    expect(messages.filter((payload) => payload[0] === Message.USERAUTH_FAILURE).length).toBeLessThanOrEqual(6)
  })

  test('so are wrong passwords, each of them reported', async () => {
    const authenticate = async (): Promise<AuthDecision<string>> => ({ allow: false, reason: 'wrong password' })
    const { raw, log } = await rawClient({ authenticate, methods: ['password'] })
    await raw.requestService()
    for (let count = 0; count < 10; count++) raw.send(passwordRequest('alice', 'guess'))
    await raw.untilClosed()
    expect(log.failed.length).toBe(6)
  })

  test('queries that succeed cannot be asked without end', async () => {
    const { raw } = await rawClient()
    await raw.requestService()
    for (let count = 0; count < 100; count++) raw.send(query(alice))
    expect((await raw.untilClosed()).disconnect?.text).toBe('Too many authentication failures')
  })

  test('a client that leaves after a refused query is reported with the reason', async () => {
    const { raw, log, served } = await rawClient()
    await raw.requestService()
    raw.send(query(p256))
    await raw.receiveType(Message.USERAUTH_FAILURE)
    raw.disconnect()
    await expect(served).rejects.toThrow()
    expect(log.failed).toEqual([{ method: 'publickey', reason: 'not alice' }])
  })

  const damaged = (request: Buffer): Buffer => Buffer.from(request).fill(0xff, request.length - 8)
  test.each([
    { name: 'a key that cannot be read', request: damaged(query(p256)), reason: 'unknown or malformed key' },
    {
      name: 'a method that is not there',
      request: new WireWriter().byte(50).string('alice').string('ssh-connection').string('hostbased').take(),
      reason: 'unknown method',
    },
  ])('so is one that leaves after $name', async ({ request, reason }) => {
    const { raw, log, served } = await rawClient()
    await raw.requestService()
    raw.send(request)
    await raw.receiveType(Message.USERAUTH_FAILURE)
    raw.disconnect()
    await expect(served).rejects.toThrow()
    expect(log.failed).toEqual([{ method: 'none', reason }])
  })

  test('requests that were on their way when one succeeded are ignored', async () => {
    const { raw, served, sign, log } = await rawClient()
    await raw.requestService()
    const request = publicKeyRequest('alice', 'ssh-ed25519', alice.publicKey.blob, undefined, true)
    raw.send(withSignature(request, sign(request, alice)))
    raw.send(query(p256))
    const server = await served
    expect(server.user).toBe('alice')
    await raw.receiveType(Message.USERAUTH_SUCCESS)
    expect(log.asked.length).toBe(1)
  })

  test('control characters in a user name end the connection', async () => {
    const { raw } = await rawClient()
    await raw.requestService()
    raw.send(new WireWriter().byte(50).string('a\n\x1b[2J').string('ssh-connection').string('none').take())
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
  })
})

describe('hostile servers', () => {
  async function rawServer(identities: readonly ClientIdentity[] = [{ signer: alice }]) {
    const [near, far] = duplexPipe()
    const raw = new RawPeer({ stream: far, role: 'server' })
    const connecting = connectTransport({ stream: near, ident: 'Client', verifyHost: () => undefined })
    await raw.handshake()
    const client = await connecting
    const entered = authenticateClient({ transport: client, user: 'alice', identities, password: 'secret' })
    entered.catch(() => undefined)
    return { raw, entered }
  }
  const accept = new WireWriter().byte(Message.SERVICE_ACCEPT).string('ssh-userauth').take()
  const failure = (methods: string[]): Buffer =>
    new WireWriter().byte(Message.USERAUTH_FAILURE).nameList(methods).boolean(false).take()

  test.each([
    { name: 'success before the service was accepted', send: [Buffer.from([52])] },
    {
      name: 'a request for interactive answers',
      send: [accept, Buffer.concat([Buffer.from([60]), Buffer.alloc(12, 0xff)])],
    },
    { name: 'two service accepts', send: [accept, accept] },
    { name: 'a request for authentication', send: [accept, Buffer.from([50])] },
    {
      name: 'banners without end',
      send: [accept, ...Array.from({ length: 20 }, () => new WireWriter().byte(53).string('x').string('').take())],
    },
  ])('$name ends the login', async ({ send }) => {
    const { raw, entered } = await rawServer()
    for (const payload of send) raw.send(payload)
    await expect(entered).rejects.toThrow()
    expect((await raw.untilClosed()).disconnect?.reason).toBe(DisconnectReason.PROTOCOL_ERROR)
  })

  test('a password is not sent to a server that did not ask for one', async () => {
    const { raw, entered } = await rawServer()
    raw.send(accept)
    raw.send(failure(['publickey', 'keyboard-interactive']))
    await expect(entered).rejects.toThrow('publickey, keyboard-interactive')
    const { messages } = await raw.untilClosed()
    expect(messages.some((payload) => payload.includes('secret'))).toBe(false)
  })

  test('PK_OK for another key than the one asked about is refused', async () => {
    const { raw, entered } = await rawServer([{ signer: alice }, { signer: p256 }])
    raw.send(accept)
    raw.send(new WireWriter().byte(60).string('ecdsa-sha2-nistp256').string(p256.publicKey.blob).take())
    await expect(entered).rejects.toThrow()
  })

  test('failures without end run out of candidates', async () => {
    const { raw, entered } = await rawServer([{ signer: alice }, { signer: p256 }, { signer: rsa }])
    raw.send(accept)
    for (let count = 0; count < 3; count++) {
      await raw.receiveType(Message.USERAUTH_REQUEST)
      raw.send(failure(['publickey']))
    }
    await expect(entered).rejects.toThrow('does not let alice in')
  })
})

describe('parsing', () => {
  test('any bytes give a request or a WireError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          parseRequest(Buffer.concat([Buffer.from([50]), bytes]))
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
      }),
    )
  })

  test('a changed or cut request gives another request or a WireError', async () => {
    const { certificate } = await certify(alice)
    const blob = certificate?.blob ?? Buffer.alloc(0)
    const request = withSignature(
      publicKeyRequest('alice', 'ssh-ed25519-cert-v01@openssh.com', blob, undefined, true),
      alice.signSync(Buffer.from('x')),
    )
    fc.assert(
      fc.property(fc.nat(request.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, cut) => {
        const changed = Buffer.from(cut ? request.subarray(0, at) : request)
        if (!cut && at > 0) changed[at] = (changed[at] ?? 0) ^ flip
        try {
          const parsed = parseRequest(changed)
          if (parsed.method === 'publickey') offeredKey(parsed)
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
      }),
    )
  })
})
