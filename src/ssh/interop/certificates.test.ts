/** The two certificates at work, as the reference page shows it: our client and OpenSSH's at our server, nothing trusted but the CAs. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { AccessDenied } from '../../errors/errors.ts'
import { decideHostTrust } from '../certificate/host-trust.ts'
import { issueCertificateSync } from '../certificate/issue.ts'
import { certificateLine } from '../certificate/line.ts'
import type { Certificate, CertificateType } from '../certificate/types.ts'
import { verifyCertificate } from '../certificate/verify.ts'
import { connectSsh } from '../client.ts'
import { formatCertAuthorityLine, parseKnownHosts } from '../keys/known-hosts.ts'
import { generateEd25519 } from '../keys/private-key.ts'
import { formatPrivateKey } from '../keys/private-key-file.ts'
import type { PrivateKey } from '../keys/types.ts'
import { createSshServer } from '../server.ts'
import type { SshServer } from '../server-types.ts'
import { openssh10Directory } from '../testing/foreign-clients.ts'
import { dial } from '../testing/process-server.ts'
import { run } from '../testing/run.ts'
import { type TempDir, tempDir } from '../testing/temp-dir.ts'

const [userAuthority, hostAuthority, hostKey, userKey] = [1, 2, 3, 4].map(() => generateEd25519()) as [
  PrivateKey,
  PrivateKey,
  PrivateKey,
  PrivateKey,
]

function issue(type: CertificateType, key: PrivateKey, signer: PrivateKey, principals: string[]): Certificate {
  const now = Date.now()
  const template = {
    publicKey: key.publicKey,
    type,
    keyId: 'alice@example',
    principals,
    validAfter: new Date(now - 60_000),
    validBefore: new Date(now + 3_600_000),
    extensions: type === 'user' ? { 'permit-pty': '' } : {},
  }
  return issueCertificateSync(template, signer, realEnv)
}

const hostCertificate = issue('host', hostKey, hostAuthority, ['node.example'])
const userCertificate = issue('user', userKey, userAuthority, ['alice'])
const known = parseKnownHosts(`${formatCertAuthorityLine(['*.example'], hostAuthority.publicKey)}\n`)
const refusals: string[] = []
let server: SshServer
let port: number
let home: TempDir

beforeAll(async () => {
  server = createSshServer<string>({
    ident: 'Example_1',
    hostIdentities: () => [{ signer: hostKey, certificate: hostCertificate }],
    authMethods: ['publickey'],
    async authenticate(request, { peer }) {
      if (request.method !== 'publickey' || request.certificate === undefined) {
        return { allow: false, reason: 'no certificate' }
      }
      const verdict = verifyCertificate(request.certificate, {
        type: 'user',
        authorities: [userAuthority.publicKey],
        now: new Date(),
        principal: request.user,
        sourceAddress: peer.address,
      })
      if (!verdict.ok) return { allow: false, reason: verdict.reason }
      return { allow: true, identity: request.certificate.keyId, noTouchRequired: verdict.noTouchRequired }
    },
    authFailed: (_request, reason) => refusals.push(reason),
    session(session, connection) {
      session.accept()
      session.channel.write(`hello ${connection.identity}\n`)
      void session.exit({ kind: 'exit', status: 0 })
    },
  })
  ;({ port } = await server.listen(0, '127.0.0.1'))
  home = tempDir()
  home.write('id', formatPrivateKey(userKey))
  home.write('id-cert.pub', `${certificateLine(userCertificate)}\n`)
  home.write('hosts', `${formatCertAuthorityLine(['*.example'], hostAuthority.publicKey)}\n`)
})
afterAll(async () => {
  await server.close()
  home[Symbol.dispose]()
})

describe('our client', () => {
  const login = async (user: string, identities: Parameters<typeof connectSsh>[0]['identities'], host: string) =>
    connectSsh({
      stream: await dial({ host: '127.0.0.1', port }),
      user,
      ident: 'Example_1',
      verifyHost({ publicKey, certificate }) {
        const claim = { host, port: 22, presented: certificate ?? publicKey, now: new Date() }
        const trust = decideHostTrust(known, claim)
        if (!trust.ok) throw new AccessDenied(trust.reason)
      },
      identities,
    })

  test('gets in with its certificate, and knows the host by its own', async () => {
    await using client = await login('alice', [{ signer: userKey, certificate: userCertificate }], 'node.example')
    const session = await client.openSession()
    session.stderr.resume()
    const started = session.exec('whoami')
    const line = await new Promise((resolve) => session.channel.once('data', resolve))
    await started
    expect(String(line)).toBe('hello alice@example\n')
    expect(await session.exited).toEqual({ kind: 'exit', status: 0 })
  })

  test.each([
    { name: 'another login', user: 'root', identities: [{ signer: userKey, certificate: userCertificate }] },
    { name: 'the bare key', user: 'alice', identities: [{ signer: userKey }] },
    {
      name: 'the certificate with another key',
      user: 'alice',
      identities: [{ signer: generateEd25519(), certificate: userCertificate }],
    },
    {
      name: 'a certificate of the host authority',
      user: 'alice',
      identities: [{ signer: userKey, certificate: issue('user', userKey, hostAuthority, ['alice']) }],
    },
  ])('is refused with $name', async ({ user, identities }) => {
    await expect(login(user, identities, 'node.example')).rejects.toThrow()
  })

  test('refuses a host of another name before it sends anything of the user', async () => {
    await expect(login('alice', [{ signer: userKey, certificate: userCertificate }], 'other.example')).rejects.toThrow()
  })
})

describe.each([
  { name: 'OpenSSH 9', ssh: 'ssh' },
  { name: 'OpenSSH 10', ssh: `${openssh10Directory}/ssh` },
])('$name, strict host checking', ({ ssh }) => {
  const call = (host: string, user: string) =>
    run(ssh, [
      ...['-F', 'none', '-i', home.file('id'), '-o', 'IdentitiesOnly=yes', '-o', 'StrictHostKeyChecking=yes'],
      ...['-o', `UserKnownHostsFile=${home.file('hosts')}`, '-o', `HostName=127.0.0.1`, '-o', `HostKeyAlias=${host}`],
      ...['-p', String(port), '-l', user, host, 'whoami'],
    ])

  test('gets in without a question and without a warning', async () => {
    const result = await call('node.example', 'alice')
    expect([result.stdout.toString(), result.stderr, result.code]).toEqual(['hello alice@example\n', '', 0])
  })

  test.each([
    { name: 'another host name', host: 'other.example', user: 'alice' },
    { name: 'another login', host: 'node.example', user: 'root' },
  ])('is refused with $name', async ({ host, user }) => {
    expect((await call(host, user)).code).toBe(255)
  })
})
