/** The yardstick: two real `sshd`, as Debian configures them, reached with `ssh -J`. */

import { spawn } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { plainShell } from './cluster.ts'
import { freePorts, must, sshAnswers, stop, until } from './processes.ts'

export interface Reference extends AsyncDisposable {
  /** The `ssh` command up to, and without, what runs on the target. */
  readonly ssh: readonly string[]
}

export async function startReference(directory: string): Promise<Reference> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // The unprivileged half of sshd wants this directory; Debian's unit file makes it.
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
  const [jumpPort = 0, targetPort = 0] = await freePorts(2)
  const key = join(directory, 'id')
  const hostKey = join(directory, 'host')
  await must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key])
  await must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', hostKey])
  await writeFile(join(directory, 'authorized_keys'), await readFile(`${key}.pub`))
  await chmod(hostKey, 0o600)
  const daemons = await Promise.all(
    [jumpPort, targetPort].map(async (port) => {
      const file = join(directory, `sshd-${port}.conf`)
      await writeFile(file, sshdConfig(port, directory))
      const [program = '', ...argv] = [...plainShell, '/usr/sbin/sshd', '-D', '-e', '-f', file]
      const child = spawn(program, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
      let said = ''
      child.stderr.on('data', (chunk) => {
        if (said.length < 10_000) said += String(chunk)
      })
      await until('sshd', [() => sshAnswers(port)], { timeoutMs: 10_000, child }).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${said}`)
      })
      return child
    }),
  )
  const hostKeyLine = (await readFile(`${hostKey}.pub`, 'utf8')).trim()
  await writeFile(
    join(directory, 'known_hosts'),
    [jumpPort, targetPort].map((port) => `[127.0.0.1]:${port} ${hostKeyLine}\n`).join(''),
  )
  const config = join(directory, 'ssh_config')
  await writeFile(
    config,
    `Host jump
  HostName 127.0.0.1
  Port ${jumpPort}
Host target
  HostName 127.0.0.1
  Port ${targetPort}
  ProxyJump jump
Host *
  User ${userInfo().username}
  IdentityFile ${key}
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${join(directory, 'known_hosts')}
  GlobalKnownHostsFile /dev/null
  LogLevel ERROR
`,
  )
  return {
    ssh: ['ssh', '-F', config, 'target'],
    async [Symbol.asyncDispose]() {
      await Promise.all(daemons.map((child) => stop(child)))
    },
  }
}

/** What Debian ships, with the port, the keys, and no dropping of connections under load. */
const sshdConfig = (port: number, directory: string): string => `
ListenAddress 127.0.0.1:${port}
HostKey ${join(directory, 'host')}
AuthorizedKeysFile ${join(directory, 'authorized_keys')}
StrictModes no
PermitRootLogin prohibit-password
PidFile none
MaxStartups 1000:30:2000
MaxSessions 1000
KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
`
