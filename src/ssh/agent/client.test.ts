import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Duplex, duplexPair } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { AccessDenied, BadParameter, ConnectionProblem, NotFound } from '../../errors/errors.ts'
import { issueCertificateSync } from '../certificate/issue.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import { fingerprintSha256 } from '../keys/public-key.ts'
import { verifySignature } from '../keys/signature.ts'
import type { PublicKey } from '../keys/types.ts'
import { runOk } from '../testing/run.ts'
import { type TempDir, tempDir } from '../testing/temp-dir.ts'
import { AgentClient, agentSigner } from './client.ts'

const ca = generateEd25519()
const certify = (publicKey: PublicKey) =>
  issueCertificateSync(
    {
      publicKey,
      type: 'user',
      keyId: 'alice',
      principals: ['alice'],
      validAfter: new Date(0),
      validBefore: new Date(4e12),
    },
    ca,
    realEnv,
  )
const keys = [
  generateEd25519(),
  generateEcdsa('nistp256'),
  generateEcdsa('nistp384'),
  generateEcdsa('nistp521'),
  generateRsa(2048),
]

describe("against OpenSSH's ssh-agent", () => {
  let dir: TempDir
  let agent: ChildProcess
  let env: Record<string, string>
  beforeAll(async () => {
    dir = tempDir()
    agent = spawn('ssh-agent', ['-D', '-a', dir.file('s')], { stdio: ['ignore', 'pipe', 'ignore'] })
    if (agent.stdout !== null) await once(agent.stdout, 'data') // it prints its address once it listens
    env = { SSH_AUTH_SOCK: dir.file('s') }
  })
  afterAll(() => {
    agent.kill()
    dir[Symbol.dispose]()
  })

  test.each(keys)('add, list, sign and remove, plain and with certificate: $publicKey.type', async (key) => {
    using client = await AgentClient.connect(dir.file('s'))
    const certificate = certify(key.publicKey)
    await client.add({ key, comment: 'plain' })
    await client.add({ key, certificate, comment: 'certified', lifetimeSeconds: 600 })
    expect(await client.list()).toMatchObject([
      { blob: key.publicKey.blob, comment: 'plain', certificate: undefined },
      { blob: certificate.blob, comment: 'certified', certificate: { keyId: 'alice' } },
    ])
    expect(await runOk('ssh-add', ['-l'], { env })).toContain(fingerprintSha256(key.publicKey))
    const data = Buffer.from('data')
    for (const identity of await client.list()) {
      const signer = agentSigner(client, identity)
      for (const algorithm of signer.algorithms) {
        expect(verifySignature(key.publicKey, data, await signer.sign(data, algorithm), algorithm)).toBe(true)
      }
    }
    await client.remove(key.publicKey.blob)
    expect(await client.list()).toHaveLength(1)
    await expect(client.remove(key.publicKey.blob)).rejects.toThrow(AccessDenied)
    await client.removeAll()
    expect(await client.list()).toEqual([])
    await expect(client.sign(certificate.blob, data)).rejects.toThrow(AccessDenied)
  })

  test('many requests may overlap', async () => {
    using client = await AgentClient.connect(dir.file('s'))
    const key = generateEd25519()
    await client.add({ key })
    const messages = Array.from({ length: 50 }, (_, index) => Buffer.from(`message ${index}`))
    const signatures = await Promise.all(messages.map((message) => client.sign(key.publicKey.blob, message)))
    for (const [index, message] of messages.entries()) {
      expect(verifySignature(key.publicKey, message, signatures[index] ?? Buffer.alloc(0), 'ssh-ed25519')).toBe(true)
    }
    await client.removeAll()
  })

  test('a session binding is accepted when the host key signed it', async () => {
    using client = await AgentClient.connect(dir.file('s'))
    const host = generateEd25519()
    const session = Buffer.alloc(32, 1)
    await client.bindSession(host.publicKey.blob, session, host.signSync(session), false)
    const other = Buffer.alloc(32, 2)
    await expect(client.bindSession(host.publicKey.blob, other, host.signSync(session), false)).rejects.toThrow(
      AccessDenied,
    )
  })
})

test('no socket is a clear error', async () => {
  await expect(AgentClient.connect('/nowhere/agent')).rejects.toThrow(NotFound)
  await expect(AgentClient.connect('/nowhere/agent')).rejects.toThrow('/nowhere/agent')
})

test('a certificate for another key is refused before it is sent', async () => {
  using client = new AgentClient(duplexPair()[0])
  const [key, other] = [generateEd25519(), generateEd25519()]
  await expect(client.add({ key, certificate: certify(other.publicKey) })).rejects.toThrow(BadParameter)
})

describe('a broken agent fails requests, and only them', () => {
  test.each([
    { name: 'closes', reply: null },
    { name: 'says something oversized', reply: Buffer.from('7fffffff00', 'hex') },
    { name: 'says nothing in a message', reply: Buffer.from('00000000', 'hex') },
    { name: 'stops inside a message', reply: Buffer.from('0000000a0c', 'hex') },
    { name: 'counts wrongly', reply: Buffer.from('000000050cffffffff', 'hex') },
    { name: 'answers another question', reply: Buffer.from('000000010e', 'hex') },
    { name: 'leaves trailing bytes', reply: Buffer.from('000000060c0000000000', 'hex') },
  ])('$name', async ({ reply }) => {
    const [ours, theirs] = duplexPair()
    using client = new AgentClient(ours)
    const list = client.list()
    theirs.once('data', () => theirs.end(reply ?? undefined))
    await expect(list).rejects.toThrow(ConnectionProblem)
    await expect(client.list()).rejects.toThrow(ConnectionProblem)
  })

  test('an unasked answer ends the connection', async () => {
    const [ours, theirs] = duplexPair()
    using client = new AgentClient(ours)
    theirs.write(Buffer.from('0000000106', 'hex'))
    await once(ours, 'close')
    await expect(client.list()).rejects.toThrow('without a question')
  })

  test('a stream error rejects what waits', async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(new Error('cable cut')) })
    using client = new AgentClient(stream)
    await expect(client.list()).rejects.toThrow(/cable cut/)
  })
})
