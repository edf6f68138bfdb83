/** OpenSSH as the other half: signed certificates, exported authorities, an sshd that trusts them, jumps and forwards. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, freePorts, login, startCluster } from './cluster.ts'
import { Dialog, run, succeed, until } from './run.ts'

let cluster: Cluster
let dir: string
const file = (name: string) => join(dir, name)

beforeAll(async () => {
  cluster = await startCluster()
  dir = cluster.dir
  await cluster.addUser('alice')
  writeFileSync(file('known_hosts'), (await cluster.tctl('auth', 'export', '--type=host')).stdout)
})
afterAll(async () => {
  await cluster.remove()
})

/** Options that leave nothing to the machine's own configuration and everything to the certificates. */
const strict = () => [
  '-F',
  'none',
  '-o',
  'StrictHostKeyChecking=yes',
  '-o',
  `UserKnownHostsFile=${file('known_hosts')}`,
  '-o',
  'GlobalKnownHostsFile=none',
  '-o',
  'BatchMode=yes',
  '-o',
  'IdentitiesOnly=yes',
  '-i',
  file('alice'),
]

/** The proxy's certificate names the machine; `*.feat` is what the authority's line vouches for. */
const proxyCommand = () =>
  `ssh ${strict()
    .map((word) => `'${word}'`)
    .join(' ')} -o HostKeyAlias=node-1.feat -p ${cluster.ports.proxy} localhost -s proxy:%h:%p@feat`

describe('tctl auth sign and export with plain OpenSSH', () => {
  test('a signed user certificate and the exported authority reach a node without a warning', async () => {
    const signed = await cluster.tctl('auth', 'sign', '--user=alice', '--format=openssh', `--out=${file('alice')}`)
    expect(signed.stdout).toBe(`\nThe credentials have been written to ${file('alice')}, ${file('alice-cert.pub')}\n`)
    const result = await run('ssh', [
      ...strict(),
      '-p',
      '3022',
      '-o',
      `ProxyCommand=${proxyCommand()}`,
      `${login}@node-1.feat`,
      'echo signed',
    ])
    expect(result).toEqual({ code: 0, stdout: 'signed\n', stderr: '' })
  })

  test('nothing is overwritten without --overwrite', async () => {
    const before = readFileSync(file('alice'))
    const refused = await cluster.tctl('auth', 'sign', '--user=alice', '--format=openssh', `--out=${file('alice')}`)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('exists already')
    expect(readFileSync(file('alice'))).toEqual(before)
  })

  test('--key signs a key that the user brings', async () => {
    await succeed('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file('mine')])
    await cluster.tctl('auth', 'sign', '--user=alice', `--key=${file('mine.pub')}`, `--out=${file('mine')}`, '--ttl=5m')
    const shown = await succeed('ssh-keygen', ['-L', '-f', file('mine-cert.pub')])
    expect(shown).toContain('Key ID: "alice"')
    expect(shown).toMatch(new RegExp(`Principals: \\n\\s+${login}\\n`))
  })

  test('the lines of tctl auth export', async () => {
    expect((await cluster.tctl('auth', 'export', '--type=user')).stdout).toMatch(
      /^cert-authority ssh-ed25519 [A-Za-z0-9+/=]+ clustername=feat&type=user\n$/,
    )
    expect((await cluster.tctl('auth', 'export', '--type=host')).stdout).toMatch(
      /^@cert-authority \*\.feat ssh-ed25519 [A-Za-z0-9+/=]+ clustername=feat&type=host\n$/,
    )
    expect((await cluster.tctl('auth', 'export', '--type=user', '--format=openssh')).stdout).toMatch(
      /^ssh-ed25519 \S+\n$/,
    )
    expect((await cluster.tctl('authorities', '--type=user', 'export')).stdout).toMatch(/^cert-authority /)
    expect((await cluster.tctl('hostca', 'pubkey')).stdout).toMatch(/^ssh-ed25519 /)
  })

  test('an sshd with TrustedUserCAKeys and our host certificate is reached with the same certificate', async () => {
    const { node: port } = await freePorts()
    const authority = (await cluster.tctl('auth', 'export', '--type=user')).stdout.replace('cert-authority ', '')
    writeFileSync(file('user_ca'), authority)
    await cluster.tctl('auth', 'sign', '--host=legacy.feat,legacy', '--format=openssh', `--out=${file('legacy')}`)
    writeFileSync(
      file('sshd_config'),
      `Port ${port}\nListenAddress 127.0.0.1\nHostKey ${file('legacy')}\nHostCertificate ${file('legacy-cert.pub')}\nTrustedUserCAKeys ${file('user_ca')}\nPasswordAuthentication no\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\nAuthorizedKeysFile none\n`,
    )
    chmodSync(file('legacy'), 0o600)
    await run('mkdir', ['-p', '/run/sshd'])
    const sshd = new Dialog('/usr/sbin/sshd', ['-D', '-e', '-f', file('sshd_config')])
    try {
      await sshd.expect(/Server listening/)
      const result = await run('ssh', [
        ...strict(),
        '-o',
        'HostKeyAlias=legacy.feat',
        '-p',
        String(port),
        `${login}@127.0.0.1`,
        'echo sshd',
      ])
      expect(result, sshd.output).toEqual({ code: 0, stdout: 'sshd\n', stderr: '' })
    } finally {
      await sshd.stop()
    }
  })
})

describe('plain ssh through the proxy after tsh config', () => {
  let config: string
  beforeAll(async () => {
    const home = await cluster.login('alice')
    config = file('ssh_config')
    writeFileSync(config, (await cluster.tsh(home, ['config'])).stdout)
  })

  test('scp and sftp move a file both ways', async () => {
    const content = 'x'.repeat(200_000)
    writeFileSync(file('up'), content)
    const copied = await run('scp', ['-O', '-F', config, file('up'), `${login}@node-1.feat:${file('there')}`])
    expect(copied.code, copied.stderr).toBe(0)
    const back = await run('scp', ['-O', '-F', config, `${login}@node-1.feat:${file('there')}`, file('back')])
    expect(back.code, back.stderr).toBe(0)
    expect(readFileSync(file('back'), 'utf8')).toBe(content)
  })

  test('-L and -D reach a service beside the node', async () => {
    const server: Server = createServer((socket) => socket.end('service\n'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const service = typeof address === 'object' && address !== null ? address.port : 0
    const { node: local, web: socks } = await freePorts()
    const home = cluster.home('alice')
    const ours = new Dialog(
      `${process.cwd()}/bin/tsh`,
      ['ssh', '-N', '-L', `${local}:127.0.0.1:${service}`, '-D', String(socks), `${login}@node-1`],
      {
        env: cluster.env({ TELEPORT_HOME: home }),
      },
    )
    try {
      const direct = await until('the forward', async () => {
        const { stdout } = await run('curl', ['-s', '--http0.9', `http://127.0.0.1:${local}/`])
        return stdout === '' ? undefined : stdout
      })
      expect(direct).toBe('service\n')
      const through = await run('curl', [
        '-s',
        '--http0.9',
        '--socks5-hostname',
        `127.0.0.1:${socks}`,
        `http://127.0.0.1:${service}/`,
      ])
      expect(through.stdout, through.stderr + ours.output).toBe('service\n')
    } finally {
      await ours.stop()
      server.close()
    }
  })

  test('nothing runs on the proxy itself', async () => {
    const result = await run('ssh', [
      ...strict(),
      '-o',
      'HostKeyAlias=node-1.feat',
      '-p',
      String(cluster.ports.proxy),
      'localhost',
      'id',
    ])
    expect(result.code).not.toBe(0)
    expect(result.stdout).toBe('')
  })
})
