/** Our certificates between OpenSSH's own `ssh` and `sshd`: no engine of ours is involved, so only the certificates can be wrong. */

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { beforeAll, describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { MemoryAgent } from '../agent/memory.ts'
import { serveAgent } from '../agent/server.ts'
import { formatCertAuthorityLine } from '../keys/known-hosts.ts'
import { formatPublicKeyLine } from '../keys/line.ts'
import { generateEcdsa, generateEd25519, generateRsa } from '../keys/private-key.ts'
import { formatPrivateKey } from '../keys/private-key-file.ts'
import type { PrivateKey } from '../keys/types.ts'
import { run } from '../testing/run.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { issueCertificateSync } from './issue.ts'
import { certificateLine } from './line.ts'
import type { CertificateTemplate } from './types.ts'

const login = userInfo().username
const userCa = generateEd25519()
const hostCa = generateEcdsa('nistp384')

// Where root runs sshd it wants its own empty directory, which packages make at boot.
beforeAll(() => {
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true })
})

interface Attempt {
  readonly user: PrivateKey
  readonly host: PrivateKey
  readonly userCertificate?: Partial<CertificateTemplate>
  readonly hostCertificate?: Partial<CertificateTemplate>
  /** `ssh` has no files: key and certificate are in our agent. */
  readonly throughAgent?: boolean
}

async function attempt({ user, host, userCertificate, hostCertificate, throughAgent }: Attempt) {
  using dir = tempDir()
  const hour = 3_600_000
  const common = {
    validAfter: new Date(realEnv.now().getTime() - hour),
    validBefore: new Date(realEnv.now().getTime() + hour),
    keyId: 'test',
  }
  const forUser = issueCertificateSync(
    { ...common, publicKey: user.publicKey, type: 'user', principals: [login], ...userCertificate },
    userCa,
    realEnv,
  )
  const forHost = issueCertificateSync(
    { ...common, publicKey: host.publicKey, type: 'host', principals: ['node1.cluster'], ...hostCertificate },
    hostCa,
    realEnv,
  )
  dir.write('host', formatPrivateKey(host))
  dir.write('host-cert.pub', `${certificateLine(forHost)}\n`)
  dir.write('ca.pub', `${formatPublicKeyLine(userCa.publicKey)}\n`)
  dir.write('known_hosts', `${formatCertAuthorityLine(['*.cluster'], hostCa.publicKey)}\n`)
  dir.write('id-cert.pub', `${certificateLine(forUser)}\n`)
  dir.write(
    'sshd_config',
    [
      `HostKey ${dir.file('host')}`,
      `HostCertificate ${dir.file('host-cert.pub')}`,
      `TrustedUserCAKeys ${dir.file('ca.pub')}`,
      'AuthorizedKeysFile none',
      'AuthenticationMethods publickey',
      'PermitRootLogin yes',
      'StrictModes no',
      'UsePAM no',
      '',
    ].join('\n'),
  )
  const agent = new MemoryAgent()
  agent.add({ key: user, certificate: forUser })
  const server = createServer((socket) => void serveAgent(socket, agent)).listen(dir.file('agent'))
  await once(server, 'listening')
  dir.write('id', formatPrivateKey(user))
  const options = {
    ProxyCommand: `/usr/sbin/sshd -i -f ${dir.file('sshd_config')}`,
    UserKnownHostsFile: dir.file('known_hosts'),
    GlobalKnownHostsFile: 'none',
    StrictHostKeyChecking: 'yes',
    BatchMode: 'yes',
    ...(throughAgent === true
      ? { IdentityAgent: dir.file('agent'), IdentityFile: 'none', CertificateFile: 'none' }
      : { IdentityAgent: 'none', IdentityFile: dir.file('id'), CertificateFile: dir.file('id-cert.pub') }),
  }
  const args = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const result = await run('ssh', ['-F', 'none', ...args, `${login}@node1.cluster`, 'echo in'])
  server.close()
  return { ...result, text: result.stdout.toString() }
}

describe('accepted without a warning', () => {
  const kinds = [
    generateEd25519(),
    generateEcdsa('nistp256'),
    generateEcdsa('nistp384'),
    generateEcdsa('nistp521'),
    generateRsa(2048),
  ]
  test.each(kinds)('user and host key of type $publicKey.type', async (key) => {
    expect(await attempt({ user: key, host: key })).toMatchObject({ code: 0, text: 'in\n', stderr: '' })
  })
  test.each([generateEd25519(), generateRsa(2048)])('a key in our agent: $publicKey.type', async (user) => {
    const result = await attempt({ user, host: generateEd25519(), throughAgent: true })
    expect(result).toMatchObject({ code: 0, text: 'in\n', stderr: '' })
  })
  test('options and extensions', async () => {
    const result = await attempt({
      user: generateEd25519(),
      host: generateEd25519(),
      hostCertificate: { extensions: { 'x-role@example.com': 'node' } },
      userCertificate: {
        criticalOptions: { 'force-command': 'echo forced' },
        extensions: { 'permit-pty': '', 'roles@x': 'a' },
      },
    })
    expect(result).toMatchObject({ code: 0, text: 'forced\n', stderr: '' })
  })
})

describe('refused', () => {
  const past = { validAfter: new Date(0), validBefore: new Date(1_000_000) }
  test.each([
    { name: 'V1 an expired user certificate', change: { userCertificate: past }, says: /Permission denied/ },
    { name: 'another login', change: { userCertificate: { principals: ['nobody-else'] } }, says: /Permission denied/ },
    {
      name: 'V5 a host certificate for the user',
      change: { userCertificate: { type: 'host' as const } },
      says: /Permission denied/,
    },
    {
      name: 'V15 an expired host certificate',
      change: { hostCertificate: past },
      says: /expired|Host key verification failed/,
    },
    {
      name: 'V15 a certificate of another host',
      change: { hostCertificate: { principals: ['node2.cluster'] } },
      says: /verification failed/,
    },
  ])('$name', async ({ change, says }) => {
    const result = await attempt({ user: generateEd25519(), host: generateEd25519(), ...change })
    expect(result.code).toBe(255)
    expect(result.stderr).toMatch(says)
  })
})
