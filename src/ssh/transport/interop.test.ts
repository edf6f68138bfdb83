/** Key exchange, ciphers and login with foreign programs as the other end. Channels are tested where they are built. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { userInfo } from 'node:os'
import { Client, Server as Ssh2Server, utils } from 'ssh2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { authenticateClient } from '../auth/client.ts'
import { authenticateServer } from '../auth/server.ts'
import { issueCertificate } from '../certificate/issue.ts'
import { certificateLine } from '../certificate/line.ts'
import type { CertificateType } from '../certificate/types.ts'
import type { ClientIdentity } from '../client-types.ts'
import { formatPublicKeyLine } from '../keys/line.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import { formatPrivateKey } from '../keys/private-key-file.ts'
import { fingerprintSha256 } from '../keys/public-key.ts'
import type { PrivateKey } from '../keys/types.ts'
import { run } from '../testing/run.ts'
import { type TempDir, tempDir } from '../testing/temp-dir.ts'
import { isAead, knownCiphers, knownKex, knownMacs } from './algorithms.ts'
import { acceptTransport, connectTransport } from './connect.ts'
import type { AlgorithmPreferences, NegotiatedAlgorithms, Transport } from './types.ts'

const authority = generateEd25519()
const hostKey = generateEd25519()
const userKey = generateEd25519()
const { username } = userInfo()

const certify = (key: PrivateKey, type: CertificateType, principal: string) =>
  issueCertificate(
    {
      publicKey: key.publicKey,
      type,
      keyId: `${principal}-id`,
      principals: [principal],
      validAfter: new Date(0),
      validBefore: new Date(4e12),
    },
    authority,
    realEnv,
  )

const protections = knownCiphers.flatMap((cipher) =>
  isAead(cipher) ? [{ cipher, macs: [...knownMacs] }] : knownMacs.map((mac) => ({ cipher, macs: [mac] })),
)
/** OpenSSH 9.2 does not know ML-KEM. */
const olderKex = knownKex.filter((kex) => kex !== 'mlkem768x25519-sha256')

interface Login {
  readonly user: string
  readonly keyId: string | undefined
  readonly version: string
  readonly negotiated: NegotiatedAlgorithms
}

describe('foreign clients', () => {
  let dir: TempDir
  let server: Server
  let port = 0
  let algorithms: Partial<AlgorithmPreferences> = {}
  let logins: Login[] = []
  let plainKeys = true
  const failures: string[] = []

  async function serve(transport: Transport): Promise<void> {
    const { user, certificate } = await authenticateServer({
      transport,
      methods: ['publickey', 'password'],
      banner: 'interop\r\n',
      authenticate: async (request) =>
        (request.method === 'publickey' && (plainKeys || request.certificate !== undefined)) ||
        (request.method === 'password' && request.password === 'secret')
          ? { allow: true, identity: undefined }
          : { allow: false, reason: 'no' },
    })
    const { negotiated, remoteVersion } = transport
    logins.push({ user, keyId: certificate?.keyId, version: remoteVersion, negotiated })
    transport.start(() => undefined)
    // Renewing keys at once shows that the foreign end takes part.
    await transport.rekey()
    transport.disconnect(11, 'enough')
  }

  beforeAll(async () => {
    dir = tempDir()
    dir.write('id', formatPrivateKey(userKey))
    dir.write('id.pub', formatPublicKeyLine(userKey.publicKey))
    dir.write('id-cert.pub', certificateLine(await certify(userKey, 'user', 'alice')))
    const hostIdentities = [{ signer: hostKey, certificate: await certify(hostKey, 'host', 'box'), offerPlain: true }]
    dir.write('known', `@cert-authority box ${formatPublicKeyLine(authority.publicKey)}\n`)
    server = createServer((socket) => {
      acceptTransport({ stream: socket, ident: 'Interop', hostIdentities, algorithms })
        .then(serve)
        .catch((error: unknown) => failures.push(String(error)))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })

  afterAll(() => {
    server.close()
    dir[Symbol.dispose]()
  })

  async function loginsOf(
    action: () => Promise<unknown>,
    wanted: Partial<AlgorithmPreferences> = {},
  ): Promise<Login[]> {
    algorithms = wanted
    logins = []
    await action()
    return logins
  }

  const sshTrusting = (known: string, ...args: string[]) => {
    plainKeys = false
    return run('ssh', [
      ...['-F', '/dev/null', '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-i', dir.file('id')],
      ...['-o', 'HostKeyAlias=box', '-o', 'StrictHostKeyChecking=yes', '-o', `UserKnownHostsFile=${known}`],
      ...args,
      ...['-p', String(port), 'alice@127.0.0.1', 'true'],
    ]).finally(() => {
      plainKeys = true
    })
  }
  const ssh = (...args: string[]) => sshTrusting(dir.file('known'), ...args)

  test.each([
    ...olderKex.map((kex) => ({ kex, cipher: protections[0]?.cipher ?? 'aes256-ctr', macs: [...knownMacs] })),
    ...protections.map((protection) => ({ kex: 'curve25519-sha256' as const, ...protection })),
  ])('OpenSSH: $kex $cipher $macs, certificates on both sides', async ({ kex, cipher, macs }) => {
    const wanted = { kex: [kex], ciphers: [cipher], macs }
    const [login] = await loginsOf(() => ssh('-o', `KexAlgorithms=${kex}`, '-c', cipher, '-m', macs.join(',')), wanted)
    expect(login).toMatchObject({
      user: 'alice',
      keyId: 'alice-id',
      negotiated: { kex, cipherIn: cipher, cipherOut: cipher },
    })
    expect(login?.negotiated.hostKey).toBe('ssh-ed25519-cert-v01@openssh.com')
  })

  test('OpenSSH with its defaults is led to GCM', async () => {
    const [login] = await loginsOf(() => ssh())
    expect(login?.negotiated).toMatchObject({
      cipherIn: expect.stringContaining('gcm'),
      cipherOut: expect.stringContaining('gcm'),
    })
  })

  test('OpenSSH refuses a host certificate of another authority', async () => {
    dir.write('other', `@cert-authority box ${formatPublicKeyLine(generateEd25519().publicKey)}\n`)
    expect(await loginsOf(() => sshTrusting(dir.file('other')))).toEqual([])
  })

  test('ssh-keyscan reads the key and the certificate', async () => {
    const plain = await run('ssh-keyscan', ['-T', '5', '-t', 'ed25519', '-p', String(port), '127.0.0.1'])
    expect(plain.stdout.toString()).toContain(hostKey.publicKey.blob.toString('base64'))
    const certified = await run('ssh-keyscan', ['-c', '-T', '5', '-t', 'ed25519', '-p', String(port), '127.0.0.1'])
    expect(certified.stdout.toString()).toContain('ssh-ed25519-cert-v01@openssh.com')
  })

  test('dropbear', async () => {
    const args = ['-y', '-y', '-p', String(port), 'alice@127.0.0.1', 'true']
    const [login] = await loginsOf(() =>
      run('dbclient', args, { env: { DROPBEAR_PASSWORD: 'secret', HOME: dir.path } }),
    )
    expect(login).toMatchObject({ user: 'alice', version: expect.stringContaining('dropbear') })
  })

  test('PuTTY', async () => {
    const args = ['-batch', '-ssh', '-hostkey', fingerprintSha256(hostKey.publicKey), '-l', 'alice', '-pw', 'secret']
    const [login] = await loginsOf(() =>
      run('plink', [...args, '-P', String(port), '127.0.0.1', 'true'], { env: { HOME: dir.path } }),
    )
    expect(login).toMatchObject({ user: 'alice', version: expect.stringContaining('PuTTY') })
  })

  test('Paramiko', async () => {
    const script = `
import paramiko, socket
s = socket.create_connection(('127.0.0.1', ${port}))
t = paramiko.Transport(s)
t.connect(username='alice', pkey=paramiko.Ed25519Key.from_private_key_file('${dir.file('id')}'))
print(t.is_authenticated())
t.close()
`
    const [login] = await loginsOf(async () => {
      const { stdout } = await run('/usr/bin/python3', ['-c', script])
      expect(stdout.toString()).toContain('True')
    })
    expect(login).toMatchObject({ user: 'alice', version: expect.stringContaining('paramiko') })
  })

  test('npm ssh2', async () => {
    const [login] = await loginsOf(async () => {
      const client = new Client()
      client.connect({ host: '127.0.0.1', port, username: 'alice', privateKey: formatPrivateKey(userKey) })
      await once(client, 'ready')
      client.on('error', () => undefined)
      client.end()
    })
    expect(login).toMatchObject({ user: 'alice', negotiated: { cipherIn: expect.stringContaining('gcm') } })
  })
})

/** Logs in with our client; renews the keys, which shows that both directions work after the login. */
async function logIn(
  port: number,
  algorithms: Partial<AlgorithmPreferences>,
  identity: ClientIdentity,
  hostKeyAlgorithms?: readonly string[],
): Promise<Transport> {
  const transport = await connectTransport({
    stream: connect(port, '127.0.0.1'),
    ident: 'Interop',
    algorithms,
    verifyHost: () => undefined,
    ...(hostKeyAlgorithms === undefined ? {} : { hostKeyAlgorithms }),
  })
  await authenticateClient({ transport, user: username, identities: [identity] })
  transport.start(() => undefined)
  await transport.rekey()
  transport.disconnect(11, 'done')
  return transport
}

describe.skipIf(username !== 'root' && !existsSync('/usr/sbin/sshd'))('sshd', () => {
  let dir: TempDir
  let sshd: ChildProcess
  let port = 0

  beforeAll(async () => {
    dir = tempDir()
    port = await freePort()
    dir.write('host', formatPrivateKey(hostKey))
    dir.write('host.pub', formatPublicKeyLine(hostKey.publicKey))
    dir.write('host-cert.pub', certificateLine(await certify(hostKey, 'host', 'box')))
    const rsa = generateRsa(2048)
    dir.write('host-rsa', formatPrivateKey(rsa))
    dir.write('keys', `${formatPublicKeyLine(userKey.publicKey)}\n`)
    dir.write('ca.pub', formatPublicKeyLine(authority.publicKey))
    const config = dir.write(
      'config',
      [
        `ListenAddress 127.0.0.1:${port}`,
        `HostKey ${dir.file('host')}`,
        `HostKey ${dir.file('host-rsa')}`,
        `HostCertificate ${dir.file('host-cert.pub')}`,
        `AuthorizedKeysFile ${dir.file('keys')}`,
        `TrustedUserCAKeys ${dir.file('ca.pub')}`,
        `PidFile ${dir.file('pid')}`,
        `KexAlgorithms ${olderKex.join(',')}`,
        `Ciphers ${knownCiphers.join(',')}`,
        'StrictModes no',
        'UsePAM no',
        'PermitRootLogin prohibit-password',
        'MaxStartups 100',
      ].join('\n'),
    )
    sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] })
    await new Promise<void>((resolve, reject) => {
      let text = ''
      sshd.stderr?.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (text.includes('Server listening')) resolve()
      })
      sshd.once('exit', () => reject(new Error(text)))
    })
  })

  afterAll(() => {
    sshd.kill()
    dir[Symbol.dispose]()
  })

  test.each([
    ...olderKex.map((kex) => ({ kex, cipher: protections[0]?.cipher ?? 'aes256-ctr', macs: [...knownMacs] })),
    ...protections.map((protection) => ({ kex: 'curve25519-sha256' as const, ...protection })),
  ])('$kex $cipher $macs', async ({ kex, cipher, macs }) => {
    const transport = await logIn(port, { kex: [kex], ciphers: [cipher], macs }, { signer: userKey })
    expect(transport.negotiated).toMatchObject({ kex, cipherIn: cipher, hostKey: 'ssh-ed25519-cert-v01@openssh.com' })
    expect(transport.peerExtensions.has('server-sig-algs')).toBe(true)
  })

  test.each([
    { name: 'Ed25519', key: generateEd25519() },
    { name: 'ECDSA 521', key: generateEcdsa('nistp521') },
    { name: 'RSA', key: generateRsa(2048) },
  ])('a user certificate for a key of type $name', async ({ key }) => {
    const transport = await logIn(port, {}, { signer: key, certificate: await certify(key, 'user', username) })
    expect(transport.presentedHostKey?.certificate?.keyId).toBe('box-id')
  })

  test('an RSA host key, chosen although our guess was another', async () => {
    const transport = await logIn(port, {}, { signer: userKey }, ['rsa-sha2-256'])
    expect(transport.negotiated.hostKey).toBe('rsa-sha2-256')
  })

  test('refuses an unknown key, which gives an error that says so', async () => {
    await expect(logIn(port, {}, { signer: generateEd25519() })).rejects.toThrow(
      /does not let .* in: tried key ssh-ed25519/,
    )
  })
})

describe('other servers', () => {
  test('npm ssh2', async () => {
    const { private: hostKeys } = utils.generateKeyPairSync('ed25519')
    const server = new Ssh2Server({ hostKeys: [hostKeys] }, (connection) => {
      connection.on('authentication', (context) => context.accept())
      connection.on('error', () => undefined)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    for (const { cipher, macs } of protections) {
      const transport = await logIn(port, { ciphers: [cipher], macs }, { signer: userKey })
      expect(transport.negotiated.cipherOut).toBe(cipher)
    }
    server.close()
  })
})

async function freePort(): Promise<number> {
  const probe = createServer()
  probe.listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
