/** SECURITY matrix, group V: every kind of bad certificate at the node and at the proxy of a running cluster, with stock `ssh`. */

import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createUser } from '../../src/api/routes.ts'
import { parseKeyLine } from '../../src/ssh/keys/line.ts'
import { WireReader } from '../../src/ssh/wire/reader.ts'
import { WireWriter } from '../../src/ssh/wire/writer.ts'
import { login } from '../cluster.ts'
import { run } from '../run.ts'
import { type Bench, type Credentials, startBench } from './bench.ts'

let bench: Bench
let processes: readonly string[]

beforeAll(async () => {
  bench = await startBench()
  await bench.api.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: [login] } } })
  processes = bench.processes()
})
afterAll(async () => {
  await bench?.remove()
})

/** On the node a command; on the proxy, which runs none, the way to the node. */
const ask = {
  node: ['target', 'echo in'],
  get proxy(): string[] {
    return ['-W', `node-1:${bench.cluster.ports.node}`, 'target']
  },
}

/** Shows the credentials to both; each must deny, say why in the audit log, and live on. Returns what it said. */
async function denied(credentials: Credentials, reason: RegExp, user?: string): Promise<void> {
  for (const target of ['node', 'proxy'] as const) {
    const from = bench.address()
    const result = await bench.ssh(target, credentials, ask[target], { from })
    expect(result.code, `${target}: ${result.stderr}`).toBe(255)
    expect(result.stdout, target).toBe('')
    expect(result.stderr, target).toMatch(/Permission denied|Connection closed|disconnect/i)
    const events = await bench.events('auth', { from })
    expect(events[0], target).toMatchObject({ event: 'auth', code: 'T3007W', success: false, login })
    expect(String(events[0]?.error), target).toMatch(reason)
    if (user !== undefined) expect(events[0]?.user, target).toBe(user)
  }
  expect(bench.processes()).toEqual(processes)
}

/** The certificate that `ssh-keygen` made, with one of its parts replaced; signed again by whoever `sign` is. */
function recraft(
  made: Credentials,
  change: {
    readonly algorithm?: string
    readonly subject?: Buffer
    readonly keyId?: Buffer
    readonly principals?: Buffer
    readonly critical?: Buffer
    readonly authority?: Buffer
    readonly tail?: Buffer
  },
): Credentials {
  const { type, blob } = parseKeyLine(readFileSync(made.certificate ?? '', 'utf8'))
  const reader = new WireReader(blob)
  reader.string()
  const nonce = reader.string()
  const subject = reader.string()
  const serial = reader.uint64()
  const kind = reader.uint32()
  const [keyId, principals] = [reader.string(), reader.string()]
  const [after, before] = [reader.uint64(), reader.uint64()]
  const [critical, extensions, reserved, authority] = [
    reader.string(),
    reader.string(),
    reader.string(),
    reader.string(),
  ]
  const algorithm = change.algorithm ?? type
  const signed = new WireWriter(1024)
    .string(algorithm)
    .string(nonce)
    .string(change.subject ?? subject)
    .uint64(serial)
    .uint32(kind)
    .string(change.keyId ?? keyId)
    .string(change.principals ?? principals)
    .uint64(after)
    .uint64(before)
    .string(change.critical ?? critical)
    .string(extensions)
    .string(reserved)
    .string(change.authority ?? authority)
    .take()
  const signature = bench.readKey(bench.userAuthority).signSync(Buffer.from(signed))
  const whole = new WireWriter()
    .bytes(signed)
    .string(signature)
    .bytes(change.tail ?? Buffer.alloc(0))
    .take()
  return bench.withCertificate(made.key, algorithm, Buffer.from(whole))
}

const strings = (...values: readonly (string | Buffer)[]): Buffer => {
  const writer = new WireWriter()
  for (const value of values) writer.string(value)
  return Buffer.from(writer.take())
}

describe('a certificate is refused by node and proxy', () => {
  test('though a good one is taken by both', async () => {
    const good = bench.mint({ options: ['extension:foo@x=1'] })
    expect(await bench.ssh('node', good, ask.node)).toMatchObject({ code: 0, stdout: 'in\n' })
    const through = await bench.ssh('proxy', good, ask.proxy, { input: 'SSH-2.0-x\r\n' })
    expect(through.stdout).toMatch(/^SSH-2\.0-\S*Teleport/)
  })

  test('V1 expired', async () => {
    await denied(bench.mint({ validity: '-2h:-1h' }), /expired/, 'alice')
  })
  test('V2 not yet valid', async () => {
    await denied(bench.mint({ validity: '+1h:+2h' }), /valid/, 'alice')
  })
  test('V4 another authority, a self-signed certificate, the authority key itself', async () => {
    await denied(bench.mint({ authority: bench.newKey() }), /authority/)
    const own = bench.newKey()
    await denied(bench.mint({ authority: own }, own), /authority/)
    await denied({ key: bench.userAuthority }, /plain key/)
  })
  test('V5 host certificates and certificates of the wrong authority', async () => {
    // OpenSSH does not show a host certificate for login, so the type is changed behind its back: both kinds of lie.
    await denied(bench.mint({ authority: bench.hostAuthority }), /authority/)
    await denied(bench.mint({ flags: ['-h'] }), /host|user certificate|plain key/)
    await denied(bench.mint({ flags: ['-h'], authority: bench.hostAuthority }), /host|user certificate|plain key/)
  })
  test('V6 no principals', async () => {
    await denied(bench.mint({ principals: '' }), /principal/)
  })
  test('V8 source-address: another, empty, malformed', async () => {
    await denied(bench.mint({ options: ['source-address=10.9.9.9/32'] }), /from 127\.|source/)
    const made = bench.mint()
    for (const list of ['', '127.0.0.0/99', 'nonsense', '127.0.0.0/8,,', '::ffff:10.0.0.1/128']) {
      await denied(recraft(made, { critical: strings('source-address', strings(list)) }), /127\.|source|address/)
    }
  })
  test('V8 source-address holds for the true client, directly and behind the proxy', async () => {
    const [right, wrong] = [bench.address(), bench.address()]
    const bound = bench.mint({ options: [`source-address=${right}/32`] })
    expect((await bench.ssh('node', bound, ask.node, { from: right })).stdout).toBe('in\n')
    expect((await bench.ssh('node', bound, ask.node, { from: wrong })).code).toBe(255)
    const through = (from: string) => {
      const proxy = ['ssh', ...bench.sshOptions('proxy', bound, from), '-W', 'node-1:%p', 'proxy'].join(' ')
      return bench.ssh('node', bound, ['-o', `ProxyCommand=${proxy}`, '-o', 'BindAddress=none', 'target', 'echo in'])
    }
    expect((await through(right)).stdout).toBe('in\n')
    expect((await through(wrong)).code).toBe(255)
  })
  test('V9 an unknown critical option', async () => {
    await denied(bench.mint({ options: ['critical:foo@x=1'] }), /foo@x/)
    await denied(bench.mint({ options: ['force-command=true'] }), /force-command/)
  })
  test('V12 a nested certificate', async () => {
    const made = bench.mint()
    const { blob } = parseKeyLine(readFileSync(made.certificate ?? '', 'utf8'))
    await denied(recraft(made, { authority: blob }), /malformed|certificate|plain key/)
    let deep: Buffer = blob
    for (let level = 0; level < 100; level++) deep = strings('ssh-ed25519-cert-v01@openssh.com', deep)
    await denied(recraft(made, { authority: deep }), /malformed|certificate|plain key/)
  })
  test('V13 weak keys and SHA-1', async () => {
    const weak = bench.newKey('-t', 'rsa', '-b', '1024')
    await denied(bench.mint({}, weak), /RSA|1024|malformed|plain key|certificate/i)
    const rsaAuthority = bench.newKey('-t', 'rsa', '-b', '2048')
    const sha1 = bench.mint({ authority: rsaAuthority, flags: ['-t', 'ssh-rsa'] })
    await denied(sha1, /ssh-rsa|authority|malformed|plain key/)
  })
  test('V16 257 principals, a key id of 100 KB, trailing bytes, lengths that lie', async () => {
    const made = bench.mint()
    const many = Array.from({ length: 257 }, (_, index) => `user${index}`)
    await denied(recraft(made, { principals: strings(...many, login) }), /principal|malformed|plain key/)
    await denied(recraft(made, { tail: Buffer.of(0) }), /malformed|trailing|plain key|certificate/)
    await denied(
      recraft(made, { principals: Buffer.from([0xff, 0xff, 0xff, 0xff]) }),
      /malformed|plain key|certificate/,
    )
    // Above what may be sent before the login: the connection ends, and there is no login to speak of.
    for (const target of ['node', 'proxy'] as const) {
      const huge = await bench.ssh(target, recraft(made, { keyId: Buffer.alloc(100_000, 'a') }), ask[target])
      expect(huge.code).toBe(255)
    }
    expect(bench.processes()).toEqual(processes)
  })
  test('V17 of another cluster', async () => {
    await denied(bench.mint({ cluster: 'leaf' }), /leaf/)
  })
  test('V21 that claims more than the cluster gives: a role, a login, a user', async () => {
    await denied(bench.mint({ roles: ['editor'] }), /role/)
    await denied(bench.mint({ keyId: 'mallory' }), /mallory/)
    const more = bench.mint({ logins: [login, 'daemon'] })
    const result = await bench.ssh('node', more, ask.node, { login: 'daemon' })
    expect(result.code).toBe(255)
    expect(result.stdout).toBe('')
  })
})

test('V16 random damage to a certificate costs neither port its life', async () => {
  const made = bench.mint()
  const { type, blob } = parseKeyLine(readFileSync(made.certificate ?? '', 'utf8'))
  // Unit tests flip every byte; here a few places, at both ports, through the client that people use.
  for (const at of [60, 110, blob.length - 200, blob.length - 10]) {
    const damaged = Buffer.from(blob)
    damaged[at] = (damaged[at] ?? 0) ^ 0x40
    for (const target of ['node', 'proxy'] as const) {
      const result = await bench.ssh(target, bench.withCertificate(made.key, type, damaged), ask[target])
      expect(result.code).toBe(255)
    }
  }
  expect(bench.processes()).toEqual(processes)
  expect((await bench.ssh('node', made, ask.node)).stdout).toBe('in\n')
})

test('V18 a removed user is out at once, and a new one of the same name does not inherit the certificate', async () => {
  await bench.cluster.addUser('carol')
  const signed = bench.file('carol')
  expect((await bench.cluster.tctl('auth', 'sign', '--user=carol', '--format=openssh', `--out=${signed}`)).code).toBe(0)
  const carol = { key: signed, certificate: `${signed}-cert.pub` }
  expect((await bench.ssh('node', carol, ask.node)).stdout).toBe('in\n')
  expect((await bench.cluster.tctl('users', 'rm', 'carol')).code).toBe(0)
  await denied(carol, /carol/)
  await bench.cluster.addUser('carol')
  await denied(carol, /earlier user/)
})

test('V15 stock ssh refuses a server whose certificate is for another name, or of another authority', async () => {
  const good = bench.mint()
  const as = (name: string) =>
    bench.sshOptions('node', good).map((word) => (word === 'HostKeyAlias=node-1' ? `HostKeyAlias=${name}` : word))
  const renamed = await run('ssh', [...as('db'), '-l', login, 'target', 'echo in'])
  expect(renamed.code).toBe(255)
  expect(renamed.stderr).toMatch(/not listed|verification failed/)

  const foreign = bench.file('foreign_hosts')
  writeFileSync(foreign, `@cert-authority * ${readFileSync(`${bench.newKey()}.pub`, 'utf8')}`)
  const elsewhere = bench
    .sshOptions('node', good)
    .map((word) => (word.startsWith('UserKnownHostsFile=') ? `UserKnownHostsFile=${foreign}` : word))
  const other = await run('ssh', [...elsewhere, '-l', login, ...ask.node])
  expect(other.code).toBe(255)
  expect(other.stderr).toContain('verification failed')
})
