import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { duplexPair } from 'node:stream'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Env, realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { AccessDenied, BadParameter, LimitExceeded } from '../../errors/errors.ts'
import { issueCertificateSync } from '../certificate/issue.ts'
import { certificateLine } from '../certificate/line.ts'
import { formatPublicKeyLine } from '../keys/line.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import { formatPrivateKey } from '../keys/private-key-file.ts'
import { fingerprintSha256 } from '../keys/public-key.ts'
import { verifySignature } from '../keys/signature.ts'
import { run, runOk } from '../testing/run.ts'
import { type TempDir, tempDir } from '../testing/temp-dir.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { decodeAddIdentity, encodeAddIdentity } from './add-identity.ts'
import { AgentClient, agentSigner } from './client.ts'
import { MemoryAgent } from './memory.ts'
import { serveAgent } from './server.ts'

const types = ['ed25519', 'ecdsa', 'rsa']

describe('our agent on a unix socket, used by OpenSSH', () => {
  let dir: TempDir
  let server: Server
  let agent: MemoryAgent
  let env: Record<string, string>
  beforeEach(async () => {
    dir = tempDir()
    agent = new MemoryAgent()
    server = createServer((socket) => void serveAgent(socket, agent))
    server.listen(dir.file('s'))
    await once(server, 'listening')
    env = { SSH_AUTH_SOCK: dir.file('s') }
  })
  afterEach(() => {
    server.close()
    dir[Symbol.dispose]()
  })

  test('an empty agent', async () => {
    expect((await run('ssh-add', ['-l'], { env })).stdout.toString()).toContain('no identities')
  })

  test.each(types)('ssh-add adds, lists, tests and deletes a key and its certificate: %s', async (type) => {
    await runOk('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'me', '-f', dir.file('k')])
    await runOk('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', dir.file('ca')])
    await runOk('ssh-keygen', ['-q', '-s', dir.file('ca'), '-I', 'alice', '-n', 'alice', dir.file('k.pub')])
    await runOk('ssh-add', ['-t', '600', dir.file('k')], { env })
    const lines = await runOk('ssh-add', ['-L'], { env })
    expect(lines).toContain(readFileSync(dir.file('k.pub'), 'utf8').trim())
    expect(lines).toContain('-cert-v01@openssh.com')
    expect(agent.list().map((identity) => identity.certificate?.keyId)).toEqual([undefined, 'alice'])
    // -T makes the agent sign and verifies the result.
    // It asks for SHA-1 with RSA keys, which nobody gets; those sign in the next tests.
    if (type !== 'rsa') await runOk('ssh-add', ['-T', dir.file('k.pub'), dir.file('k-cert.pub')], { env })
    await runOk('ssh-add', ['-d', dir.file('k')], { env })
    expect(agent.list()).toEqual([])
  })

  test.each([generateEd25519(), generateRsa(2048)])(
    'ssh-keygen -Y sign uses a key that only we have: $publicKey.type',
    async (key) => {
      agent.add({ key, comment: 'mine' })
      const pub = dir.write('k.pub', `${formatPublicKeyLine(key.publicKey)}\n`)
      const input = 'text'
      dir.write('sig', await runOk('ssh-keygen', ['-Y', 'sign', '-f', pub, '-n', 'file'], { input, env }))
      dir.write('allowed', `me ${formatPublicKeyLine(key.publicKey)}\n`)
      await runOk(
        'ssh-keygen',
        ['-Y', 'verify', '-f', dir.file('allowed'), '-I', 'me', '-n', 'file', '-s', dir.file('sig')],
        { input },
      )
    },
  )

  test('ssh-keygen -U signs certificates with an authority that only we have', async () => {
    const ca = generateEd25519()
    agent.add({ key: ca })
    dir.write('ca.pub', `${formatPublicKeyLine(ca.publicKey)}\n`)
    dir.write('k.pub', `${formatPublicKeyLine(generateEd25519().publicKey)}\n`)
    await runOk('ssh-keygen', ['-q', '-U', '-s', dir.file('ca.pub'), '-I', 'x', '-n', 'alice', dir.file('k.pub')], {
      env,
    })
    expect(await runOk('ssh-keygen', ['-Lf', dir.file('k-cert.pub')])).toContain(fingerprintSha256(ca.publicKey))
  })

  test('what we cannot keep is refused, not forgotten', async () => {
    const file = dir.write('k', formatPrivateKey(generateEd25519()))
    expect((await run('ssh-add', ['-c', file], { env })).code).not.toBe(0) // confirmation
    expect((await run('ssh-add', ['-x'], { env, input: 'p\np\n' })).code).not.toBe(0) // locking
    expect((await run('ssh-add', ['-e', '/lib/none.so'], { env, input: '\n' })).code).not.toBe(0) // smart cards
    expect(agent.list()).toEqual([])
    await runOk('ssh-add', ['-D'], { env })
  })

  test('our own certificate shows in ssh-add -L and dies with the agent', async () => {
    const key = generateEd25519()
    const certificate = issueCertificateSync(
      {
        publicKey: key.publicKey,
        type: 'user',
        keyId: 'a',
        principals: ['a'],
        validAfter: new Date(0),
        validBefore: new Date(4e12),
      },
      generateEd25519(),
      realEnv,
    )
    agent.add({ key, certificate, comment: 'c' })
    expect(await runOk('ssh-add', ['-L'], { env })).toBe(`${certificateLine(certificate, 'c')}\n`)
    server.close()
    await once(server, 'close')
    expect(existsSync(dir.file('s'))).toBe(false)
  })
})

test('paramiko lists our keys and signs with them', async () => {
  using dir = tempDir()
  const agent = new MemoryAgent()
  const keys = [generateEd25519(), generateEcdsa('nistp256')]
  for (const key of keys) agent.add({ key })
  const server = createServer((socket) => void serveAgent(socket, agent)).listen(dir.file('s'))
  await once(server, 'listening')
  const script = `
import base64, paramiko
for key in paramiko.Agent().get_keys():
    print(key.get_name(), base64.b64encode(key.sign_ssh_data(b'data')).decode())`
  const printed = await runOk('/usr/bin/python3', ['-c', script], { env: { SSH_AUTH_SOCK: dir.file('s') } })
  server.close()
  const lines = printed.trim().split('\n')
  expect(lines).toHaveLength(keys.length)
  for (const [index, key] of keys.entries()) {
    const [type = '', signature = ''] = lines[index]?.split(' ') ?? []
    const [algorithm = 'rsa-sha2-512'] = key.algorithms
    expect(type).toBe(key.publicKey.type)
    expect(verifySignature(key.publicKey, Buffer.from('data'), Buffer.from(signature, 'base64'), algorithm)).toBe(true)
  }
})

test('a backend that fails unexpectedly is logged and answered with FAILURE', async () => {
  const [ours, theirs] = duplexPair()
  const errors: unknown[] = []
  const backend = {
    list: () => {
      throw new TypeError('a bug')
    },
    sign: () => Buffer.alloc(0),
  }
  void serveAgent(theirs, backend, { ...silentLogger, error: (_message, fields) => errors.push(fields?.error) })
  using client = new AgentClient(ours)
  await expect(client.list()).rejects.toThrow(AccessDenied)
  expect(errors).toEqual(['a bug'])
})

test('a damaged request to add a key adds it, or is refused with a WireError or BadParameter', () => {
  const samples = [generateEd25519(), generateEcdsa('nistp256'), generateRsa(2048)].flatMap((key) => {
    const certificate = issueCertificateSync(
      {
        publicKey: key.publicKey,
        type: 'user',
        keyId: 'a',
        principals: ['a'],
        validAfter: new Date(0),
        validBefore: new Date(4e12),
      },
      key,
      realEnv,
    )
    return [encodeAddIdentity({ key, lifetimeSeconds: 9 }), encodeAddIdentity({ key, certificate, lifetimeSeconds: 9 })]
  })
  for (const sample of samples) expect(decodeAddIdentity(new WireReader(sample, 1), true).lifetimeSeconds).toBe(9)
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (sample, at, xor, cut) => {
        const index = 1 + (at % (sample.length - 1))
        const damaged = Buffer.from(cut ? sample.subarray(0, index) : sample)
        if (!cut) damaged.writeUInt8((damaged[index] ?? 0) ^ xor, index)
        try {
          decodeAddIdentity(new WireReader(damaged, 1), true)
        } catch (error) {
          if (!(error instanceof WireError || error instanceof BadParameter)) throw error
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('a key is gone when its lifetime is over', async () => {
  let now = 0
  const env: Env = { ...realEnv, monotonicMs: () => now }
  const agent = new MemoryAgent(env)
  const key = generateEd25519()
  agent.add({ key, lifetimeSeconds: 10 })
  now = 9_999
  expect(agent.list()).toHaveLength(1)
  now = 10_000
  expect(agent.list()).toEqual([])
  await expect(agent.sign(key.publicKey.blob, Buffer.alloc(1))).rejects.toThrow('does not have')
})

test('the number of keys is bounded', () => {
  const agent = new MemoryAgent()
  for (let index = 0; index < 256; index++) agent.add({ key: generateEd25519() })
  expect(() => agent.add({ key: generateEd25519() })).toThrow(LimitExceeded)
})

test('a backend that only signs refuses changes', async () => {
  const key = generateEd25519()
  const [ours, theirs] = duplexPair()
  const identity = { blob: key.publicKey.blob, publicKey: key.publicKey, certificate: undefined, comment: '' }
  const served = serveAgent(theirs, { list: () => [identity], sign: (_blob, data) => key.signSync(data) })
  const client = new AgentClient(ours)
  await expect(client.add({ key })).rejects.toThrow(AccessDenied)
  await expect(client.remove(key.publicKey.blob)).rejects.toThrow(AccessDenied)
  await expect(client.removeAll()).rejects.toThrow(AccessDenied)
  expect((await agentSigner(client, identity).sign(Buffer.from('x'))).length).toBeGreaterThan(64)
  const session = Buffer.alloc(32)
  await client.bindSession(key.publicKey.blob, session, key.signSync(session), true)
  await expect(client.bindSession(key.publicKey.blob, Buffer.alloc(31), key.signSync(session), true)).rejects.toThrow(
    AccessDenied,
  )
  client.close()
  await served
})

describe('hostile clients', () => {
  async function exchange(bytes: Buffer): Promise<Buffer> {
    const [ours, theirs] = duplexPair()
    const agent = new MemoryAgent()
    agent.add({ key: fixed })
    const answers: Buffer[] = []
    ours.on('data', (chunk: Buffer) => answers.push(chunk))
    ours.on('error', () => {})
    ours.end(bytes)
    await serveAgent(theirs, agent)
    return Buffer.concat(answers)
  }
  const fixed = generateEd25519()
  const framed = (message: Buffer) => new WireWriter().string(message).take()

  test.each([
    { name: 'an unknown request', bytes: framed(Buffer.of(200)) },
    { name: 'a request of SSH 1', bytes: framed(Buffer.of(9)) },
    { name: 'an unknown extension', bytes: framed(new WireWriter().byte(27).string('query').take()) },
    { name: 'a truncated signature request', bytes: framed(Buffer.of(13, 0)) },
    {
      name: 'an RSA signature with SHA-1',
      bytes: framed(new WireWriter().byte(13).string(fixed.publicKey.blob.subarray(1)).string('x').uint32(0).take()),
    },
  ])('$name gets FAILURE', async ({ bytes }) => expect(await exchange(bytes)).toEqual(Buffer.from('0000000105', 'hex')))

  test.each([
    { name: 'an oversized message', bytes: Buffer.from('00040001', 'hex') },
    { name: 'an empty message', bytes: Buffer.alloc(4) },
    { name: 'half a message', bytes: Buffer.from('0000000a0b', 'hex') },
  ])('$name ends the connection', async ({ bytes }) => expect(await exchange(bytes)).toEqual(Buffer.alloc(0)))

  test('any bytes are answered or end the connection', async () => {
    const message = fc.tuple(fc.constantFrom(11, 13, 17, 18, 19, 25, 27), fc.uint8Array({ maxLength: 200 }))
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { maxLength: 5 }),
        fc.uint8Array({ maxLength: 20 }),
        async (messages, junk) => {
          const requests = messages.map(([type, body]) => framed(Buffer.from([type, ...body])))
          await exchange(Buffer.concat([...requests, junk]))
        },
      ),
    )
  })
})
