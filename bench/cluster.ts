/** Our side: a cluster of one machine on loopback, started as the product is, reached with the same OpenSSH client and with `tsh`. */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { freePorts, must, sshAnswers, stop, tlsAnswers, until } from './processes.ts'

export const root = resolve(import.meta.dirname, '..')
export const node = join(root, 'node_modules/.bin/node')
/** Before the command of a server of either side: what somebody's `.bashrc` does can take longer than what is measured. */
export const plainShell = ['sh', join(root, 'scripts/plain-shell.sh')]
const bin = (program: string): string => join(root, 'bin', program)

export interface Ports {
  readonly auth: number
  readonly proxy: number
  readonly web: number
  readonly node: number
}

export interface Cluster extends AsyncDisposable {
  readonly ports: Ports
  /** The supervisor, for weighing what it started. */
  pid(): number
  /** `ssh` through the proxy, up to, and without, what runs on the node. */
  readonly ssh: readonly string[]
  readonly tsh: readonly string[]
  /** `tsh` with its login, and `tctl` on the auth machine, up to, and without, the subcommand. */
  readonly tshAs: readonly string[]
  readonly tctl: readonly string[]
  readonly dataDir: string
  /** Ends all processes; `start` then runs on the existing data. */
  stop(): Promise<void>
  /** Milliseconds until all four ports answer. */
  start(): Promise<number>
}

export async function startCluster(
  directory: string,
  options: { profileTo?: string; auth?: string } = {},
): Promise<Cluster> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const [auth = 0, proxy = 0, web = 0, nodePort = 0] = await freePorts(4)
  const ports: Ports = { auth, proxy, web, node: nodePort }
  const config = join(directory, 'teleport.yaml')
  await writeFile(config, yaml(directory, ports, options.auth), { mode: 0o600 })
  const log = join(directory, 'teleport.log')
  let child: ChildProcess | undefined

  const start = async (): Promise<number> => {
    const begin = performance.now()
    const start = ['sh', '-c', 'exec "$0" start -c "$1" >>"$2" 2>&1', bin('teleport'), config, log]
    const [program = '', ...argv] = [...plainShell, ...start]
    child = spawn(program, argv, {
      stdio: 'ignore',
      env:
        options.profileTo === undefined
          ? process.env
          : { ...process.env, NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${options.profileTo}` },
    })
    const probes = [
      ...[ports.auth, ports.proxy, ports.node].map((port) => () => sshAnswers(port)),
      () => tlsAnswers(ports.web),
    ]
    await until(`teleport start (see ${log})`, probes, { timeoutMs: 60_000, child, everyMs: 5 })
    return performance.now() - begin
  }
  const stopAll = async () => {
    if (child !== undefined) await stop(child)
    child = undefined
  }

  await start()
  const login = userInfo().username
  const tctlAs = [bin('tctl'), '-c', config]
  const tctl = (...argv: readonly string[]) => must([...tctlAs, ...argv])
  await tctl('users', 'add', 'bench', `--logins=${login}`, '--roles=access')
  await tctl('auth', 'sign', '--user=bench', '--format=openssh', `--out=${join(directory, 'id')}`)
  await tctl('auth', 'sign', '--user=bench', '--format=file', `--out=${join(directory, 'identity')}`)
  const { stdout: hostAuthority } = await tctl('auth', 'export', '--type=host')
  await writeFile(join(directory, 'known_hosts'), hostAuthority)
  const sshConfig = join(directory, 'ssh_config')
  await writeFile(
    sshConfig,
    `Host proxy
  HostName 127.0.0.1
  HostKeyAlias bench-node.bench
  Port ${ports.proxy}
Host node
  HostName bench-node.bench
  Port ${ports.node}
  ProxyJump proxy
Host *
  User ${login}
  IdentityFile ${join(directory, 'id')}
  CertificateFile ${join(directory, 'id-cert.pub')}
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${join(directory, 'known_hosts')}
  GlobalKnownHostsFile /dev/null
  LogLevel ERROR
`,
  )
  const tshAs = [
    bin('tsh'),
    '-i',
    join(directory, 'identity'),
    `--proxy=127.0.0.1:${ports.web},${ports.proxy}`,
    '--insecure',
  ]
  return {
    ports,
    pid: () => child?.pid ?? 0,
    ssh: ['ssh', '-F', sshConfig, 'node'],
    tsh: [...tshAs, 'ssh', `${login}@bench-node`],
    tshAs,
    tctl: tctlAs,
    dataDir: join(directory, 'data'),
    start,
    stop: stopAll,
    [Symbol.asyncDispose]: stopAll,
  }
}

/** `auth`: more lines for its service, each with two spaces before it and a line feed. */
const yaml = (directory: string, ports: Ports, auth = ''): string => `
teleport:
  nodename: bench-node
  data_dir: ${join(directory, 'data')}
  auth_servers: ["127.0.0.1:${ports.auth}"]
  log:
    severity: WARN
auth_service:
  enabled: yes
  cluster_name: bench
  listen_addr: 127.0.0.1:${ports.auth}
  authentication:
    type: local
    second_factor: off
${auth}ssh_service:
  enabled: yes
  listen_addr: 127.0.0.1:${ports.node}
proxy_service:
  enabled: yes
  listen_addr: 127.0.0.1:${ports.proxy}
  web_listen_addr: 127.0.0.1:${ports.web}
  public_addr: 127.0.0.1:${ports.web}
`
