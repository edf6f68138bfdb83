/** Foreign SSH servers, started for one test on a loopback port. */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { Server as Ssh2Server } from 'ssh2'
import { generateEd25519 } from '../keys/private-key.ts'
import { formatPrivateKey } from '../keys/private-key-file.ts'
import type { PrivateKey } from '../keys/types.ts'
import { openssh10Directory } from './foreign-clients.ts'
import { dial } from './process-server.ts'
import { runOk } from './run.ts'
import { type TempDir, tempDir } from './temp-dir.ts'

export interface RunningServer {
  readonly port: number
  readonly user: string
  readonly hostKey: PrivateKey
  stop(): Promise<void>
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function untilListening(port: number, child: ChildProcess, log: () => string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended: ${log()}`)
    try {
      ;(await dial({ host: '127.0.0.1', port })).destroy()
      return
    } catch {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

async function started(
  home: TempDir,
  program: string,
  args: readonly string[],
  port: number,
  hostKey: PrivateKey,
): Promise<RunningServer> {
  let log = ''
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk
  })
  child.stdout.resume()
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await untilListening(port, child, () => log)
  return {
    port,
    user: userInfo().username,
    hostKey,
    stop: async () => {
      child.kill()
      await exited
      home[Symbol.dispose]()
    },
  }
}

function openSsh(program: string, more: (home: TempDir) => string[]): (userKey: PrivateKey) => Promise<RunningServer> {
  return async (userKey) => {
    const home = tempDir()
    const hostKey = generateEd25519()
    const port = await freePort()
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    const config = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${home.write('host', formatPrivateKey(hostKey))}`,
      `AuthorizedKeysFile ${home.write('authorized', `ssh-ed25519 ${userKey.publicKey.blob.toString('base64')}\n`)}`,
      `PidFile ${home.file('pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'AcceptEnv TEST_*',
      'MaxSessions 20',
      'KexAlgorithms +diffie-hellman-group14-sha256,diffie-hellman-group16-sha512',
      ...more(home),
      '',
    ].join('\n')
    return started(home, program, ['-D', '-e', '-f', home.write('config', config)], port, hostKey)
  }
}

/** Reads authorized_keys from the home directory only, so it gets one of its own (needs root). */
async function dropbear(userKey: PrivateKey): Promise<RunningServer> {
  const home = tempDir()
  const hostKey = generateEd25519()
  const port = await freePort()
  const native = home.file('host.dropbear')
  await runOk('dropbearconvert', ['openssh', 'dropbear', home.write('host', formatPrivateKey(hostKey)), native])
  const keys = home.write('authorized', `ssh-ed25519 ${userKey.publicKey.blob.toString('base64')}\n`)
  const { homedir } = userInfo()
  const script = `mkdir -p ${homedir}/.ssh && mount -t tmpfs tmpfs ${homedir}/.ssh && chmod 700 ${homedir} ${homedir}/.ssh &&
    install -m 600 ${keys} ${homedir}/.ssh/authorized_keys && exec dropbear -F -E -r ${native} -P ${home.file('pid')} -p 127.0.0.1:${port}`
  return started(home, 'unshare', ['-m', 'sh', '-c', script], port, hostKey)
}

async function ssh2(userKey: PrivateKey): Promise<RunningServer> {
  const hostKey = generateEd25519()
  const server = new Ssh2Server({ hostKeys: [formatPrivateKey(hostKey)] }, (client) => {
    client.on('error', () => {})
    client.on('authentication', (context) => {
      if (context.method === 'publickey' && context.key.data.equals(userKey.publicKey.blob)) context.accept()
      else context.reject(['publickey'])
    })
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec, _reject, { command }) => {
        const channel = acceptExec()
        const child = spawn('sh', ['-c', command])
        channel.pipe(child.stdin)
        child.stdin.on('error', () => {})
        child.stdout.pipe(channel, { end: false })
        child.stderr.pipe(channel.stderr, { end: false })
        child.on('close', (code) => {
          channel.exit(code ?? 255)
          channel.end()
        })
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    user: 'me',
    hostKey,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

export interface ForeignServer {
  readonly name: string
  readonly ciphers: readonly string[]
  readonly macs: readonly string[]
  readonly kexes: readonly string[]
  /** Terminals, forwards and signals work as at a full server. */
  readonly full: boolean
  start(userKey: PrivateKey): Promise<RunningServer>
}

const ciphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
]
const macs = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com']
const kexes = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group14-sha256',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
]

const libexec = openssh10Directory.replace(/bin$/, 'usr/lib/openssh')

export const foreignServers: readonly ForeignServer[] = [
  { name: 'OpenSSH 9', ciphers, macs, kexes, full: true, start: openSsh('/usr/sbin/sshd', () => []) },
  {
    name: 'OpenSSH 10',
    ciphers,
    macs,
    kexes: ['mlkem768x25519-sha256', ...kexes],
    full: true,
    start: openSsh(`${openssh10Directory}/sshd`, () => [
      `SshdSessionPath ${libexec}/sshd-session`,
      `SshdAuthPath ${libexec}/sshd-auth`,
    ]),
  },
  {
    name: 'dropbear',
    ciphers: ['chacha20-poly1305@openssh.com'],
    macs: [],
    kexes: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'diffie-hellman-group14-sha256'],
    full: false,
    start: dropbear,
  },
  { name: 'npm ssh2', ciphers, macs, kexes, full: false, start: ssh2 },
]
