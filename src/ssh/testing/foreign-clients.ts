/** Foreign SSH clients behind one face, so that the same rows run against each. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Client as Ssh2Client } from 'ssh2'
import { type RunResult, run } from './run.ts'
import type { TempDir } from './temp-dir.ts'

export interface ForeignCall {
  readonly port: number
  /** Directory with the user's key in OpenSSH form, `id`. */
  readonly home: TempDir
  /** SHA256:… of the host key, for clients that want it. */
  readonly hostFingerprint: string
  readonly command: string
  readonly input?: Buffer
  readonly cipher?: string
  readonly kex?: string
}

export interface ForeignClient {
  readonly name: string
  readonly ciphers: readonly string[]
  readonly kexes: readonly string[]
  call(call: ForeignCall): Promise<RunResult>
}

export const openssh10Directory = fileURLToPath(new URL('../../../.tools/openssh10/bin', import.meta.url))

/** Options that make an OpenSSH client independent of the machine's configuration. */
export const sshOptions = (home: TempDir): string[] => [
  ...['-F', 'none', '-i', home.file('id'), '-l', 'me'],
  ...['-o', 'IdentitiesOnly=yes', '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${home.file('hosts')}`],
  ...['-o', 'LogLevel=ERROR'],
]

const ctrAndGcm = ['aes128-ctr', 'aes192-ctr', 'aes256-ctr', 'aes128-gcm@openssh.com', 'aes256-gcm@openssh.com']
const openSshCiphers = [...ctrAndGcm, 'chacha20-poly1305@openssh.com']
const classicKexes = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group14-sha256',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
]

function openSsh(name: string, program: string, kexes: readonly string[]): ForeignClient {
  return {
    name,
    ciphers: openSshCiphers,
    kexes,
    call: ({ port, home, command, input, cipher, kex }) =>
      run(
        program,
        [
          ...sshOptions(home),
          ...['-p', String(port)],
          ...(cipher === undefined ? [] : ['-c', cipher]),
          ...(kex === undefined ? [] : ['-o', `KexAlgorithms=${kex}`]),
          '127.0.0.1',
          command,
        ],
        { ...(input === undefined ? {} : { input }) },
      ),
  }
}

const dropbear: ForeignClient = {
  name: 'dropbear dbclient',
  // Its AES-CTR comes only with encrypt-and-MAC, which we do not speak.
  ciphers: ['chacha20-poly1305@openssh.com'],
  kexes: [],
  call: async ({ port, home, command, input, cipher }) => {
    const key = home.file('id.dropbear')
    await run('dropbearconvert', ['openssh', 'dropbear', home.file('id'), key])
    const args = ['-y', '-y', '-i', key, '-p', String(port), ...(cipher === undefined ? [] : ['-c', cipher])]
    return run('dbclient', [...args, 'me@127.0.0.1', command], {
      env: { HOME: home.path },
      ...(input === undefined ? {} : { input }),
    })
  },
}

/** PuTTY knows families, and reads them from a saved session only. */
const plinkCiphers: Readonly<Record<string, string>> = { AES: 'aes', 'AES-GCM': 'aesgcm', ChaCha20: 'chacha20' }

const plink: ForeignClient = {
  name: 'PuTTY plink',
  ciphers: Object.keys(plinkCiphers),
  kexes: ['ecdh', 'dh-group16-sha512'],
  call: async ({ port, home, hostFingerprint, command, input, cipher, kex }) => {
    const key = home.file('id.ppk')
    await run('puttygen', [home.file('id'), '-O', 'private', '-o', key])
    const { mkdirSync } = await import('node:fs')
    mkdirSync(home.file('.putty/sessions'), { recursive: true })
    const family = cipher === undefined ? undefined : plinkCiphers[cipher]
    home.write(
      '.putty/sessions/row',
      [
        'HostName=127.0.0.1',
        `PortNumber=${port}`,
        'Protocol=ssh',
        'UserName=me',
        ...(family === undefined ? [] : [`Cipher=${family},WARN`]),
        ...(kex === undefined ? [] : [`KEX=${kex},WARN`]),
        '',
      ].join('\n'),
    )
    return run('plink', ['-load', 'row', '-batch', '-hostkey', hostFingerprint, '-i', key, command], {
      env: { HOME: home.path },
      ...(input === undefined ? {} : { input }),
    })
  },
}

const paramikoScript = `
import json, sys, threading, paramiko
a = json.loads(sys.argv[1])
t = paramiko.Transport(("127.0.0.1", a["port"]))
o = t.get_security_options()
if a.get("cipher"): o.ciphers = (a["cipher"],)
if a.get("kex"): o.kex = (a["kex"],)
t.connect(username="me", pkey=paramiko.Ed25519Key.from_private_key_file(a["key"]))
c = t.open_session()
c.exec_command(a["command"])
data = sys.stdin.buffer.read()
def feed():
    c.sendall(data)
    c.shutdown_write()
threading.Thread(target=feed, daemon=True).start()
while True:
    chunk = c.recv(65536)
    if not chunk: break
    sys.stdout.buffer.write(chunk)
sys.stdout.buffer.flush()
while True:
    chunk = c.recv_stderr(65536)
    if not chunk: break
    sys.stderr.buffer.write(chunk)
sys.stderr.flush()
code = c.recv_exit_status()
t.close()
sys.exit(code)
`

const paramiko: ForeignClient = {
  name: 'Paramiko',
  ciphers: ['aes128-ctr', 'aes192-ctr', 'aes256-ctr'],
  kexes: [
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group14-sha256',
  ],
  call: ({ port, home, command, input, cipher, kex }) => {
    const settings = JSON.stringify({ port, key: home.file('id'), command, cipher, kex })
    return run('/usr/bin/python3', ['-c', paramikoScript, settings], { ...(input === undefined ? {} : { input }) })
  },
}

const ssh2: ForeignClient = {
  name: 'npm ssh2',
  ciphers: openSshCiphers,
  kexes: classicKexes,
  call: ({ port, home, command, input, cipher, kex }) =>
    new Promise((resolve, reject) => {
      const client = new Ssh2Client()
      const stdout: Buffer[] = []
      const stderr: Buffer[] = []
      client.on('error', reject)
      client.on('ready', () => {
        client.exec(command, (error, channel) => {
          if (error !== undefined) {
            reject(error)
            return
          }
          let code: number | null = null
          channel.on('data', (chunk: Buffer) => stdout.push(chunk))
          channel.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
          channel.on('exit', (status: number | null) => {
            code = status
          })
          channel.on('close', () => {
            client.end()
            resolve({ code, signal: null, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() })
          })
          channel.end(input ?? '')
        })
      })
      client.connect({
        host: '127.0.0.1',
        port,
        username: 'me',
        privateKey: readFileSync(home.file('id')),
        algorithms: {
          ...(cipher === undefined ? {} : { cipher: [cipher as never] }),
          ...(kex === undefined ? {} : { kex: [kex as never] }),
        },
      })
    }),
}

export const foreignClients: readonly ForeignClient[] = [
  openSsh('OpenSSH 9', 'ssh', classicKexes),
  openSsh('OpenSSH 10', `${openssh10Directory}/ssh`, ['mlkem768x25519-sha256', ...classicKexes]),
  dropbear,
  plink,
  paramiko,
  ssh2,
]

/** The version each program says it is, so that a missing one fails here with its name. */
export const openSshVersions = async (): Promise<string[]> =>
  Promise.all(['ssh', `${openssh10Directory}/ssh`].map(async (program) => (await run(program, ['-V'])).stderr.trim()))
