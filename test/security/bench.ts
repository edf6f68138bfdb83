/**
 * The bench of the security tests: a real cluster whose authorities' private keys the test has, so that any certificate can be
 * minted, and `ssh` of OpenSSH to try it with. Every connection comes from a loopback address of its own, which tells its audit
 * event apart and keeps one test's failed logins from counting against another's.
 */

import { spawnSync } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { type AuthConnection, connectAuth } from '../../src/api/connect.ts'
import { loadIdentity } from '../../src/api/identity.ts'
import { searchEvents } from '../../src/api/routes.ts'
import { formatPublicKeyLine } from '../../src/ssh/keys/line.ts'
import { privateKeyFromKeyObject } from '../../src/ssh/keys/private-key.ts'
import { formatPrivateKey, parsePrivateKey } from '../../src/ssh/keys/private-key-file.ts'
import type { PrivateKey } from '../../src/ssh/keys/types.ts'
import { Cluster, type ClusterOptions, freePorts, login, startCluster, temporaryDirectory } from '../cluster.ts'
import { type Result, type RunOptions, run, until } from '../run.ts'

export type AuditRecord = Readonly<Record<string, unknown>>
export type Target = 'node' | 'proxy'

/** A private key file with a certificate beside it, for `ssh -i`. */
export interface Credentials {
  readonly key: string
  readonly certificate?: string
}

export interface Mint {
  /** Path of the signing key; the user authority unless given. */
  readonly authority?: string
  readonly keyId?: string
  readonly roles?: readonly string[]
  readonly logins?: readonly string[]
  /** Principals, as `-n` takes them; undefined for the logins, empty for none. */
  readonly principals?: string
  readonly cluster?: string
  readonly validity?: string
  /** `-O` options. */
  readonly options?: readonly string[]
  /** Other arguments of `ssh-keygen`, such as `-h`. */
  readonly flags?: readonly string[]
}

export class Bench {
  readonly cluster: Cluster
  readonly api: AuthConnection
  readonly userAuthority: string
  readonly hostAuthority: string
  readonly #files: string
  #next = 0
  #addresses = 1

  constructor(cluster: Cluster, api: AuthConnection, files: string) {
    this.cluster = cluster
    this.api = api
    this.#files = files
    this.userAuthority = this.writeKey('user-authority', readAuthority(cluster, 'user'))
    this.hostAuthority = this.writeKey('host-authority', readAuthority(cluster, 'host'))
    const authority = readFileSync(`${this.hostAuthority}.pub`, 'utf8')
    writeFileSync(join(files, 'known_hosts'), `@cert-authority * ${authority}`)
  }

  file(name: string): string {
    return join(this.#files, name)
  }

  writeKey(name: string, key: PrivateKey): string {
    const path = this.file(name)
    writeFileSync(path, formatPrivateKey(key), { mode: 0o600 })
    writeFileSync(`${path}.pub`, `${formatPublicKeyLine(key.publicKey)}\n`)
    return path
  }

  readKey(path: string): PrivateKey {
    return parsePrivateKey(readFileSync(path, 'utf8'))
  }

  /** An address nobody else has used; all of 127.0.0.0/8 is this machine. */
  address(): string {
    this.#addresses++
    return `127.0.${40 + (this.#addresses >> 8)}.${this.#addresses & 255}`
  }

  newKey(...args: readonly string[]): string {
    const path = this.file(`id-${this.#next++}`)
    keygen('-q', '-N', '', '-f', path, ...(args.length === 0 ? ['-t', 'ed25519'] : args))
    return path
  }

  /** What `ssh-keygen -s` makes: a good certificate of alice, but for what the test wants otherwise. */
  mint(what: Mint = {}, key = this.newKey()): Credentials {
    const { keyId = 'alice', roles = ['access'], logins = [login], cluster = this.cluster.name } = what
    const principals = what.principals ?? logins.join(',')
    const host = what.flags?.includes('-h') === true
    const options = host
      ? []
      : [
          `extension:teleport-roles=${JSON.stringify(roles)}`,
          `extension:teleport-traits=${JSON.stringify({ logins })}`,
          `extension:teleport-route-to-cluster=${cluster}`,
        ]
    keygen(
      ...['-q', '-s', what.authority ?? this.userAuthority, '-I', keyId],
      ...(principals === '' ? [] : ['-n', principals]),
      ...['-V', what.validity ?? '-1m:+1h'],
      ...[...options, ...(what.options ?? [])].flatMap((option) => ['-O', option]),
      ...(what.flags ?? []),
      `${key}.pub`,
    )
    return { key, certificate: `${key}-cert.pub` }
  }

  /** A certificate that no tool would make. */
  withCertificate(key: string, algorithm: string, blob: Buffer): Credentials {
    const certificate = this.file(`crafted-${this.#next++}-cert.pub`)
    writeFileSync(certificate, `${algorithm} ${blob.toString('base64')} crafted\n`)
    return { key, certificate }
  }

  /** Options of `ssh`, up to the host, which is named `target`. */
  sshOptions(target: Target, credentials: Credentials, from: string = this.address()): string[] {
    const port = this.cluster.ports[target]
    const options = {
      BindAddress: from,
      HostName: '127.0.0.1',
      HostKeyAlias: 'node-1',
      Port: port,
      IdentityFile: credentials.key,
      ...(credentials.certificate === undefined ? {} : { CertificateFile: credentials.certificate }),
      IdentitiesOnly: 'yes',
      IdentityAgent: 'none',
      BatchMode: 'yes',
      StrictHostKeyChecking: 'yes',
      UserKnownHostsFile: this.file('known_hosts'),
      GlobalKnownHostsFile: '/dev/null',
      ConnectTimeout: 60,
    }
    return ['-F', 'none', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
  }

  ssh(
    target: Target,
    credentials: Credentials,
    args: readonly string[],
    options: RunOptions & { readonly login?: string; readonly from?: string } = {},
  ): Promise<Result> {
    const user = options.login ?? login
    const argv = [...this.sshOptions(target, credentials, options.from), '-o', `User=${user}`, ...args]
    return run('ssh', argv, options)
  }

  /** Events of a kind that name this client address or user, once there is one. */
  async events(kind: string, of: { readonly from?: string; readonly user?: string }): Promise<readonly AuditRecord[]> {
    return await until(
      `an event ${kind} of ${JSON.stringify(of)}`,
      async () => {
        const { items } = await this.api.call(searchEvents, { query: { type: kind, limit: 200 } })
        const found = items.filter(
          (event) =>
            (of.user === undefined || event.user === of.user) &&
            (of.from === undefined || `${String(event['addr.remote'])}:`.startsWith(`${of.from}:`)),
        )
        return found.length === 0 ? undefined : found
      },
      30_000,
    )
  }

  /** The role processes, as `ROLE:PID`: the same before and after means that none of them died. */
  processes(): readonly string[] {
    const supervisor = String(this.cluster.process?.child.pid ?? 0)
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((pid) => {
        try {
          const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
          const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
          if (parent !== supervisor || state === 'Z') return []
          return [`${/--roles=(\w+)/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1] ?? ''}:${pid}`]
        } catch {
          return []
        }
      })
      .sort()
  }

  async remove(): Promise<void> {
    await this.api.close()
    await this.cluster.remove()
  }
}

/** `env`: what the services find in their environment. */
export interface BenchOptions extends ClusterOptions {
  readonly env?: Readonly<Record<string, string>>
}

export async function startBench({ env, ...options }: BenchOptions = {}): Promise<Bench> {
  const cluster = env === undefined ? await startCluster(options) : await startWith(env, options)
  try {
    return await openBench(cluster)
  } catch (error) {
    await cluster.remove()
    throw error
  }
}

/** For a cluster that runs already. */
export async function openBench(cluster: Cluster): Promise<Bench> {
  const files = join(cluster.dir, 'bench')
  mkdirSync(files, { mode: 0o700 })
  const admin = await loadIdentity(join(cluster.dir, 'data/auth/admin.json'))
  const api = connectAuth({ addresses: [`127.0.0.1:${cluster.ports.auth}`], identity: () => admin })
  return new Bench(cluster, api, files)
}

async function startWith(env: Readonly<Record<string, string>>, options: ClusterOptions): Promise<Cluster> {
  class WithEnvironment extends Cluster {
    override env(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
      return super.env({ ...env, ...extra })
    }
  }
  const cluster = new WithEnvironment(temporaryDirectory(), await freePorts(), options)
  try {
    await cluster.start()
    return cluster
  } catch (error) {
    await cluster.remove()
    throw error
  }
}

const authorityRecord = z.object({ key: z.object({ privateKey: z.string() }) })

/** From a copy of the state, since the auth service holds the file for itself alone. */
function readAuthority(cluster: Cluster, type: 'user' | 'host'): PrivateKey {
  const copy = join(cluster.dir, `copy-of-state-${type}.sqlite`)
  for (const suffix of ['', '-wal']) {
    const original = join(cluster.dir, `data/auth/backend.sqlite${suffix}`)
    if (existsSync(original)) copyFileSync(original, copy + suffix)
  }
  const database = new DatabaseSync(copy)
  const row = database
    .prepare('SELECT value FROM items WHERE key = ?')
    .get(Buffer.from(`authorities\0${type}\0`, 'latin1'))
  database.close()
  const text = row?.value instanceof Uint8Array ? Buffer.from(row.value).toString('utf8') : String(row?.value)
  const { key } = authorityRecord.parse(JSON.parse(text))
  return privateKeyFromKeyObject(createPrivateKey(key.privateKey))
}

export function keygen(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ssh-keygen', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ssh-keygen ${args.join(' ')}: ${stderr}`)
}
