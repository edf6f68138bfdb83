/**
 * What a login leaves behind, in the layout that people know from Teleport:
 *
 *     current-profile            the proxy's host name
 *     <proxy>.yaml               addresses, user and cluster
 *     known_hosts                one @cert-authority line per authority key
 *     keys/<proxy>/<user>        private key; beside it <user>.pub and <user>-cert.pub
 */

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BadParameter } from '../../errors/errors.ts'
import { errnoOf } from '../../errors/system.ts'
import { splitHostPort } from './address.ts'
import { checkDirectory, checkWritable, ensureDirectory, readPrivate, writePrivate } from './store.ts'

export interface Profile {
  /** Host name of the proxy, as typed at login; also the name of the profile. */
  readonly proxyHost: string
  /** `host:port` */
  readonly webProxyAddress: string
  readonly sshProxyAddress: string
  readonly user: string
  readonly cluster: string
}

/** Everything that a connection needs: the profile with its key, certificate and the authorities of hosts. */
export interface StoredLogin {
  readonly profile: Profile
  /** OpenSSH private key file. */
  readonly privateKey: string
  /** `ssh-ed25519-cert-v01@openssh.com AAAA…` */
  readonly certificate: string
  /** `ssh-ed25519 AAAA…` */
  readonly hostAuthorities: readonly string[]
}

const fields = {
  web_proxy_addr: 'webProxyAddress',
  ssh_proxy_addr: 'sshProxyAddress',
  user: 'user',
  cluster: 'cluster',
} as const

/** A name that stays inside the directory whatever a server or a flag says. */
function fileName(name: string): string {
  if (
    name === '' ||
    name === '.' ||
    name === '..' ||
    name.includes('/') ||
    name.includes('\0') ||
    name.startsWith('-')
  ) {
    throw new BadParameter('name', `${JSON.stringify(name)} cannot be used as a file name`)
  }
  return name
}

/** Paths of one login's files. */
export function loginPaths(home: string, proxyHost: string, user: string) {
  const directory = join(home, 'keys', fileName(proxyHost))
  const key = join(directory, fileName(user))
  return {
    profile: join(home, `${fileName(proxyHost)}.yaml`),
    directory,
    key,
    publicKey: `${key}.pub`,
    certificate: `${key}-cert.pub`,
    /** Of a proof of a second factor for several nodes (`tsh mfa grant`). */
    mfaCertificate: `${key}-mfa-cert.pub`,
    knownHosts: join(home, 'known_hosts'),
    current: join(home, 'current-profile'),
  } as const
}

/** The text form: YAML whose values are JSON strings, so that reading needs no YAML library. */
export function formatProfile(profile: Profile): string {
  return Object.entries(fields)
    .map(([key, name]) => `${key}: ${JSON.stringify(profile[name])}\n`)
    .join('')
}

/** Reads what `formatProfile` wrote and hand-written plain values. Throws BadParameter naming file and key. */
export function parseProfile(text: string, proxyHost: string, path: string): Profile {
  const values = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+):\s*(.*?)\s*$/.exec(line)
    if (match?.[1] !== undefined && match[2] !== undefined) values.set(match[1], unquote(match[2]))
  }
  const get = (key: keyof typeof fields): string => {
    const value = values.get(key)
    if (value === undefined || value === '') {
      throw new BadParameter(path, `${path}: ${key} is missing; log in again with: tsh login --proxy=${proxyHost}`)
    }
    return value
  }
  return {
    proxyHost,
    webProxyAddress: get('web_proxy_addr'),
    sshProxyAddress: get('ssh_proxy_addr'),
    user: get('user'),
    cluster: get('cluster'),
  }
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : ''
  } catch {
    return ''
  }
}

/** The profile named by `proxyHost`, else the current one. Undefined when there is none. */
export function loadProfile(home: string, proxyHost?: string): Profile | undefined {
  const host = proxyHost ?? currentProfile(home)
  if (host === undefined) return undefined
  const { profile: path } = loginPaths(home, host, 'x')
  const text = readPrivate(path)
  return text === undefined ? undefined : parseProfile(text, host, path)
}

/** Host name of the proxy last logged in to. */
export function currentProfile(home: string): string | undefined {
  const text = readPrivate(join(home, 'current-profile'))?.trim()
  return text === undefined || text === '' ? undefined : text
}

/** All profiles, sorted by name. */
export function listProfiles(home: string): readonly Profile[] {
  let names: string[]
  try {
    names = readdirSync(home)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
  return names
    .filter((name) => name.endsWith('.yaml') && !name.startsWith('.'))
    .sort()
    .flatMap((name) => loadProfile(home, name.slice(0, -'.yaml'.length)) ?? [])
}

/** The keys of a profile; undefined when they were removed. */
export function loadLogin(home: string, profile: Profile): StoredLogin | undefined {
  const paths = loginPaths(home, profile.proxyHost, profile.user)
  const privateKey = readPrivate(paths.key)
  const certificate = readPrivate(paths.certificate)
  if (privateKey === undefined || certificate === undefined) return undefined
  checkDirectory(paths.directory)
  return {
    profile,
    privateKey,
    certificate: certificate.trim(),
    hostAuthorities: readAuthorities(readPrivate(paths.knownHosts) ?? '', profile.cluster),
  }
}

/**
 * Throws what would keep a login from being stored: to be called before anything is asked for, since codes and taps are good once.
 * Makes the directory where there is none.
 */
export function prepareHome(home: string, proxyHost: string): void {
  const { directory, knownHosts } = loginPaths(home, proxyHost, 'x')
  for (const path of [home, join(home, 'keys')]) {
    ensureDirectory(path)
    checkWritable(path)
  }
  // That of a proxy is made for one that answers.
  if (existsSync(directory)) {
    checkDirectory(directory)
    checkWritable(directory)
  }
  readPrivate(knownHosts)
}

/** Stores a login and makes it the current one. */
export function saveLogin(home: string, login: StoredLogin, publicKey: string): void {
  const { profile } = login
  const paths = loginPaths(home, profile.proxyHost, profile.user)
  ensureDirectory(home)
  ensureDirectory(join(home, 'keys'))
  ensureDirectory(paths.directory)
  // The old certificate goes first: a crash in between must not leave a key with a foreign certificate.
  rmSync(paths.certificate, { force: true })
  rmSync(paths.mfaCertificate, { force: true })
  writePrivate(paths.key, login.privateKey)
  writePrivate(paths.publicKey, `${publicKey}\n`)
  writePrivate(paths.certificate, `${login.certificate}\n`)
  const known = replaceAuthorities(readPrivate(paths.knownHosts) ?? '', profile, login.hostAuthorities)
  writePrivate(paths.knownHosts, known)
  writePrivate(paths.profile, formatProfile(profile))
  writePrivate(paths.current, `${profile.proxyHost}\n`)
}

/** Replaces the host authorities of a login's cluster. */
export function saveHostAuthorities(home: string, profile: Profile, keys: readonly string[]): void {
  const { knownHosts } = loginPaths(home, profile.proxyHost, profile.user)
  ensureDirectory(home)
  writePrivate(knownHosts, replaceAuthorities(readPrivate(knownHosts) ?? '', profile, keys))
}

/** Removes the keys of a login; the profile file stays, so that the next `tsh login` knows proxy and user. */
export function removeLogin(home: string, profile: Profile): void {
  const paths = loginPaths(home, profile.proxyHost, profile.user)
  for (const path of [paths.key, paths.publicKey, paths.certificate, paths.mfaCertificate])
    rmSync(path, { force: true })
}

/** Removes the profile too. */
export function removeProfile(home: string, profile: Profile): void {
  removeLogin(home, profile)
  const paths = loginPaths(home, profile.proxyHost, profile.user)
  rmSync(paths.profile, { force: true })
  if (currentProfile(home) === profile.proxyHost) rmSync(paths.current, { force: true })
}

const authorityLine = (hosts: string, key: string): string => `@cert-authority ${hosts} ${key} type=host`

/** The patterns under which the authority vouches: the proxy, the cluster itself and every server in it. */
function authorityPatterns(profile: Profile): string {
  const sshHost = splitHostPort(profile.sshProxyAddress, 'ssh_proxy_addr').host
  return [...new Set([profile.proxyHost, sshHost, profile.cluster, `*.${profile.cluster}`])].join(',')
}

function readAuthorities(text: string, cluster: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const [marker, hosts, type, key] = line.split(' ')
    if (marker !== '@cert-authority' || hosts === undefined || type === undefined || key === undefined) return []
    return hosts.split(',').includes(`*.${cluster}`) ? [`${type} ${key}`] : []
  })
}

function replaceAuthorities(text: string, profile: Profile, keys: readonly string[]): string {
  const mine = `*.${profile.cluster}`
  const kept = text.split('\n').filter((line) => {
    const hosts = line.split(' ')[1]?.split(',') ?? []
    return line !== '' && !(hosts.includes(mine) || hosts.includes(profile.proxyHost))
  })
  const added = keys.map((key) => authorityLine(authorityPatterns(profile), key.split(' ').slice(0, 2).join(' ')))
  return `${[...kept, ...added].join('\n')}\n`
}
