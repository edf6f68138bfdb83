/** A cluster of the built programs on free ports in a directory of its own. Shared by all end-to-end suites. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin, type AuditRecord, type EventQuery, type NewUser, password } from './admin.ts'
import { bin, Dialog, type Result, type RunOptions, root, run, until } from './run.ts'

export interface Ports {
  readonly auth: number
  readonly proxy: number
  readonly web: number
  readonly node: number
}

export { type AuditRecord, login, password } from './admin.ts'

/** Ports that were free a moment ago. */
export async function freePorts(): Promise<Ports> {
  const servers = await Promise.all(
    [1, 2, 3, 4].map(
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  const [auth = 0, proxy = 0, web = 0, node = 0] = ports
  return { auth, proxy, web, node }
}

export interface ClusterOptions {
  /** Lines for `auth_service`, already indented by two spaces. */
  readonly auth?: string
  readonly ssh?: string
  readonly proxy?: string
  readonly teleport?: string
}

export class Cluster {
  readonly dir: string
  readonly ports: Ports
  readonly config: string
  readonly name = 'feat'
  process: Dialog | undefined
  readonly admin: Admin

  constructor(dir: string, ports: Ports, options: ClusterOptions) {
    this.dir = dir
    this.ports = ports
    this.config = join(dir, 'teleport.yaml')
    this.admin = new Admin(join(dir, 'data'), ports.auth)
    writeFileSync(
      this.config,
      `teleport:
  nodename: node-1
  data_dir: ${dir}/data
${options.teleport ?? ''}
auth_service:
  enabled: yes
  cluster_name: ${this.name}
  listen_addr: 127.0.0.1:${ports.auth}
${options.auth ?? '  authentication: {type: local, second_factor: off}'}
ssh_service:
  enabled: yes
  listen_addr: 127.0.0.1:${ports.node}
${options.ssh ?? '  labels: {env: dev, tier: web}'}
proxy_service:
  enabled: yes
  listen_addr: 127.0.0.1:${ports.proxy}
  web_listen_addr: 127.0.0.1:${ports.web}
  public_addr: localhost:${ports.web}
  ssh_public_addr: localhost:${ports.proxy}
${options.proxy ?? ''}
`,
    )
  }

  /** Runs `teleport start` and waits for its banner. */
  async start(): Promise<void> {
    const teleport = new Dialog(bin('teleport'), ['start', '-c', this.config], { env: this.env() })
    this.process = teleport
    void teleport.exited.then(() => {
      if (this.process === teleport) this.process = undefined
    })
    // The authorities may be others than when it ran last.
    await this.admin.leave()
    await teleport.expect(/^Teleport \d.*[\s\S]*node .*SSH on/m, 120_000)
    await until('the node in the listing', async () => (await this.admin.knowsNode('node-1')) || undefined)
  }

  async stop(): Promise<void> {
    await this.process?.stop()
  }

  async remove(): Promise<void> {
    await this.admin.leave()
    await this.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }

  get proxyAddress(): string {
    return `localhost:${this.ports.web}`
  }

  env(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { XDG_CACHE_HOME: join(this.dir, 'cache'), ...extra }
  }

  tctl(...args: readonly string[]): Promise<Result> {
    return run(bin('tctl'), ['-c', this.config, ...args], { env: this.env() })
  }

  /** `tsh` of one person: each home is another one. */
  tsh(home: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return run(bin('tsh'), args, { ...options, env: this.env({ TELEPORT_HOME: home, ...options.env }) })
  }

  home(name: string): string {
    return join(this.dir, `home-${name}`)
  }

  /** A user with the fixture's password, without a second factor. */
  addUser(name: string, options: NewUser = {}): Promise<void> {
    return this.admin.addUser(name, options)
  }

  /** Events of the audit log, the newest first; none while auth cannot be reached. */
  events(query: EventQuery = {}): Promise<readonly AuditRecord[]> {
    return this.admin.events(query)
  }

  /** Logs in and returns the home. */
  async login(name: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const home = this.home(name)
    const all = ['login', '--insecure', `--proxy=${this.proxyAddress}`, `--user=${name}`, ...args]
    const result = await this.tsh(home, all, { input: `${password}\n`, env })
    if (result.code !== 0) throw new Error(`tsh login: ${result.stderr}`)
    return home
  }
}

/**
 * Makes the directory of a cluster's caches: V8's compiled code in it is that of all clusters, since compiling the programs anew
 * is a good part of what a start costs.
 */
export function makeCaches(dir: string): string {
  const shared = join(root, '.vitest/programs')
  mkdirSync(shared, { recursive: true, mode: 0o700 })
  const caches = join(dir, 'cache')
  symlinkSync(shared, caches)
  return caches
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'teleport-e2e-'))
}

/** A running cluster. `remove` it afterwards. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const dir = temporaryDirectory()
  makeCaches(dir)
  const cluster = new Cluster(dir, await freePorts(), options)
  try {
    await cluster.start()
    return cluster
  } catch (error) {
    await cluster.remove()
    throw error
  }
}

/** The code that an authenticator app would show, `ahead` seconds from now. */
export const oneTimeCode = (secret: string, ahead = 0): string =>
  execFileSync('oathtool', ['--base32', '--totp', `--now=@${Math.floor(Date.now() / 1000) + ahead}`, secret], {
    encoding: 'utf8',
  }).trim()
