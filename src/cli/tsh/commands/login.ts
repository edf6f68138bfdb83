/** `tsh login`: password and second factor for a certificate, stored in `~/.tsh` and in the ssh-agent. */

import { userInfo } from 'node:os'
import { clockRemedy, describeSkew, issuedAt } from '../../../api/clock-skew.ts'
import type { Callback, CeremonyStart, Proof } from '../../../api/mfa-model.ts'
import type { SecondFactor, UserCredentials } from '../../../api/model.ts'
import { ping, webBeginLogin, webLogin, webLoginCeremony } from '../../../api/web.ts'
import { parseDuration } from '../../../common/durations.ts'
import { BadParameter, MissingParameter, NotFound } from '../../../errors/errors.ts'
import type { Certificate } from '../../../ssh/certificate/types.ts'
import { generateEd25519 } from '../../../ssh/keys/private-key.ts'
import { formatPrivateKey } from '../../../ssh/keys/private-key-file.ts'
import { printableLines } from '../../common/printable.ts'
import { ask, askFor } from '../../common/prompt.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { checkName, joinHostPort, parseProxyAddress, splitHostPort } from '../address.ts'
import { certificateOfLine, publicKeyLine, validBefore } from '../keys.ts'
import { addToAgent, agentWanted } from '../local-agent.ts'
import {
  type ActiveLogin,
  defaultSshPort,
  defaultWebPort,
  type MfaSettings,
  openLogin,
  type Wanted,
  wantedFrom,
} from '../login-state.ts'
import { proofOfText, prove } from '../mfa/prove.ts'
import { loadLogin, loadProfile, type Profile, prepareHome, type StoredLogin, saveLogin } from '../profile.ts'
import { type Ask, askAndWait, elevate } from '../request/elevate.ts'
import { tshHome } from '../store.ts'
import { isCurrent } from '../trust.ts'
import { callWeb, type WebTarget } from '../web-client.ts'
import { checkIdentity, type WriteIdentityOptions, writeIdentity } from '../write-identity.ts'
import { loginBlock } from './status.ts'

/** Seconds, from minutes or a duration such as `8h`. Throws BadParameter. */
export function ttlSeconds(options: OptionValues): number | undefined {
  const text = options.string('ttl')
  if (text === undefined) return undefined
  const seconds = Math.round(parseDuration(text, { bare: 'minutes', name: '--ttl' }) / 1000)
  if (seconds < 60 || seconds > 30 * 3600)
    throw new BadParameter('--ttl', `--ttl: ${text} is not between 1 minute and 30 hours`)
  return seconds
}

export const login: CommandRun = async ({ options, args }) => {
  const wanted = wantedFrom(options)
  checkConnector(options)
  const ttl = ttlSeconds(options)
  const agent = agentWanted(options)
  const home = tshHome()
  const target = webTarget(wanted, home)
  const cluster = args[0] ?? wanted.cluster
  const asked = askOf(options)
  const out = options.string('out')
  if (out === undefined && options.string('format') !== undefined)
    throw new MissingParameter('--out', '--format needs --out=FILE')
  if (out === undefined) prepareHome(home, target.host)
  else checkIdentity(identityOptions(out, options))
  const existing = out === undefined && ttl === undefined ? existingLogin(wanted, target, home) : undefined
  const good = existing !== undefined && (await isCurrent(existing, target))
  if (existing !== undefined && !good)
    process.stderr.write('The cluster has a new user authority: you have to log in again.\n')
  if (existing !== undefined && good) {
    checkCluster(cluster, existing.profile.cluster)
    const more = asked === undefined ? existing : await withRoles(existing, asked)
    saveLogin(home, stored(more), publicKeyLine(more.key.publicKey))
    if (agent && asked !== undefined) await addToAgent(more, new Date())
    process.stdout.write(loginBlock(more, new Date(), true))
    return 0
  }
  const fresh = await newLogin(wanted, target, home, ttl, cluster)
  const base = openLogin(fresh.stored, false)
  // Whoever does not wait for the answer is logged in all the same.
  if (out === undefined) saveLogin(home, fresh.stored, publicKeyLine(base.key.publicKey))
  const toAsk = asked ?? (await askedByRoles(fresh.accessRequest, options))
  const active = toAsk === undefined ? base : await withRoles(base, toAsk)
  if (out !== undefined) {
    writeIdentity(stored(active), identityOptions(out, options))
    process.stderr.write(`The identity has been written to ${out}.\n`)
    return 0
  }
  saveLogin(home, stored(active), publicKeyLine(active.key.publicKey))
  if (agent) await addToAgent(active, new Date())
  if (fresh.message !== '') process.stdout.write(`${printableLines(fresh.message).trimEnd()}\n\n`)
  process.stdout.write(loginBlock(active, new Date(), true))
  return 0
}

const identityOptions = (path: string, options: OptionValues): WriteIdentityOptions => ({
  path,
  format: options.string('format') ?? 'file',
  overwrite: options.flag('overwrite'),
})

/** What `--request-roles` and `--request-id` say. */
function askOf(options: OptionValues): Ask | { readonly id: string } | undefined {
  const [roles, id] = [options.string('requestRoles'), options.string('requestId')]
  if (roles !== undefined && id !== undefined)
    throw new BadParameter('--request-id', 'give --request-roles or --request-id, not both')
  if (id !== undefined) return { id }
  if (roles === undefined) return undefined
  const names = roles.split(',').map((name) => name.trim())
  if (names.includes('')) throw new BadParameter('--request-roles', '--request-roles: an entry is empty')
  return { roles: names, reason: options.string('requestReason') ?? '', reviewers: [] }
}

/** Roles may want each login to ask for all that may be asked for. */
async function askedByRoles(
  strategy: UserCredentials['accessRequest'],
  options: OptionValues,
): Promise<Ask | undefined> {
  if (strategy === undefined) return undefined
  const given = options.string('requestReason')
  if (strategy.mode === 'always' || given !== undefined) return { roles: ['*'], reason: given ?? '', reviewers: [] }
  const prompt = strategy.prompt === '' ? 'Reason for the request' : printableLines(strategy.prompt).trimEnd()
  return { roles: ['*'], reason: await ask(`${prompt}:\n`, { hidden: false }), reviewers: [] }
}

async function withRoles(login: ActiveLogin, asked: Ask | { readonly id: string }): Promise<ActiveLogin> {
  return openLogin(await elevate(login, await askAndWait(login, asked)), false)
}

function checkConnector(options: OptionValues): void {
  const name = options.string('auth') ?? process.env.TELEPORT_AUTH ?? ''
  if (name !== '' && name !== 'local') {
    throw new BadParameter(
      '--auth',
      `--auth: there is no connector ${JSON.stringify(name)}; only "local" exists in this version`,
    )
  }
}

const stored = (active: ActiveLogin): StoredLogin => ({
  profile: active.profile,
  privateKey: formatPrivateKey(active.key),
  certificate: `${active.certificate.algorithm} ${active.certificate.blob.toString('base64')}`,
  hostAuthorities: active.hostAuthorities.map(publicKeyLine),
})

function checkCluster(wanted: string | undefined, cluster: string): void {
  if (wanted !== undefined && wanted !== cluster)
    throw new NotFound(`there is no cluster ${JSON.stringify(wanted)} here; this proxy serves ${cluster}`)
}

/** The address in question: the flag's, or the one of the last login. */
export function webTarget(wanted: Wanted, home: string): WebTarget {
  if (wanted.proxy !== undefined) {
    const proxy = parseProxyAddress(wanted.proxy)
    const known = proxy.webPort === undefined ? loadProfile(home, proxy.host) : undefined
    const port =
      proxy.webPort ??
      (known === undefined ? defaultWebPort : splitHostPort(known.webProxyAddress, 'web_proxy_addr').port)
    return { host: proxy.host, port, insecure: wanted.insecure }
  }
  const profile = loadProfile(home)
  if (profile === undefined) throw new MissingParameter('--proxy', 'name the proxy: tsh login --proxy=HOST')
  return { ...splitHostPort(profile.webProxyAddress, 'web_proxy_addr'), insecure: wanted.insecure }
}

/** A login that is still good: nothing is asked again. */
function existingLogin(wanted: Wanted, target: WebTarget, home: string): ActiveLogin | undefined {
  const profile = loadProfile(home, target.host)
  if (profile === undefined || profile.webProxyAddress !== joinHostPort(target.host, target.port)) return undefined
  if (wanted.user !== undefined && wanted.user !== profile.user) return undefined
  const login = loadLogin(home, profile)
  if (login === undefined) return undefined
  const active = openLogin(login, false)
  return validBefore(active.certificate).getTime() > Date.now() ? active : undefined
}

export function warnInsecure(target: WebTarget): void {
  if (!target.insecure) return
  process.stderr.write(
    'WARNING: the HTTPS certificate of the proxy is not verified (--insecure). Use this for tests only.\n',
  )
}

/** At a terminal it is read before anything is typed. Elsewhere nobody could say so, and it is printed with the result. */
async function acknowledge(message: string): Promise<boolean> {
  if (message.trim() === '' || !process.stdin.isTTY) return false
  process.stderr.write(`${printableLines(message).trimEnd()}\n\n`)
  await ask('Press Enter to go on.', { hidden: false })
  return true
}

interface NewLogin {
  readonly stored: StoredLogin
  readonly message: string
  readonly accessRequest: UserCredentials['accessRequest']
}

async function newLogin(
  wanted: Wanted,
  target: WebTarget,
  home: string,
  ttl: number | undefined,
  cluster: string | undefined,
): Promise<NewLogin> {
  warnInsecure(target)
  const about = await callWeb(target, ping)
  checkCluster(cluster, about.clusterName)
  const user = checkName(wanted.user ?? loadProfile(home, target.host)?.user ?? userInfo().username, 'user')
  const read = await acknowledge(about.messageOfTheDay)
  const password = await ask(`Enter password for Teleport user ${user}:\n`, { hidden: true })
  const key = generateEd25519(undefined, `teleport:${user}`)
  const request = {
    user,
    password,
    publicKey: publicKeyLine(key.publicKey),
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
  }
  const proof = await askProof(about.auth.secondFactor, target, {
    ...{ user, password, settings: wanted.mfa, recovery: true },
    start: (callback) => callWeb(target, webLoginCeremony, { ...request, callback }),
  })
  const credentials = await callWeb(target, webLogin, { ...request, ...proof })
  warnOfClock(certificateOfLine(credentials.certificate, 'certificate'), new Date())
  const profile: Profile = {
    proxyHost: target.host,
    webProxyAddress: joinHostPort(target.host, target.port),
    sshProxyAddress: sshAddress(wanted, target, about.proxy.ssh.address),
    user,
    cluster: checkName(credentials.clusterName, 'cluster'),
  }
  const hostAuthorities = credentials.hostAuthorities
    .filter((each) => each.type === 'host')
    .flatMap((each) => each.keys)
  return {
    stored: {
      profile,
      privateKey: formatPrivateKey(key),
      certificate: credentials.certificate.trim(),
      hostAuthorities,
    },
    message: read ? '' : about.messageOfTheDay,
    accessRequest: credentials.accessRequest,
  }
}

/** Milliseconds that the clocks may differ: what certificates forgive. */
const forgiven = 60_000

function warnOfClock(certificate: Certificate, now: Date): void {
  const skew = issuedAt(certificate).getTime() - now.getTime()
  if (Math.abs(skew) <= forgiven) return
  process.stderr.write(`WARNING: the clock of this computer is ${describeSkew(skew)} the cluster's; ${clockRemedy}.\n`)
}

export interface ProofAsk {
  readonly user: string
  readonly password: string
  readonly settings: MfaSettings
  readonly recovery: boolean
  /** For a key. */
  start(callback: Callback): Promise<CeremonyStart>
}

/** Where codes are the only factor the code goes with the password; else the cluster says which devices the user has. */
export async function askProof(secondFactor: SecondFactor, target: WebTarget, wanted: ProofAsk): Promise<Proof> {
  const { user, password, ...how } = wanted
  if (secondFactor === 'off') return {}
  if (secondFactor === 'otp') {
    return await askFor('Enter your OTP token:\n', { hidden: false }, (text) => proofOfText(text, how.recovery))
  }
  const { choice } = await callWeb(target, webBeginLogin, { user, password })
  const hasDevice = choice.otp || choice.webauthn
  if (secondFactor === 'optional' && !hasDevice) return {}
  return await prove({ choice, ...how })
}

/** The flag's port, else what the proxy says; an unspecified host means the one that was dialled. */
function sshAddress(wanted: Wanted, target: WebTarget, announced: string): string {
  const flag = wanted.proxy === undefined ? undefined : parseProxyAddress(wanted.proxy).sshPort
  if (flag !== undefined) return joinHostPort(target.host, flag)
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(announced)
  const host = match?.[1] ?? match?.[2] ?? ''
  const port = match === null ? defaultSshPort : Number(match[3])
  const unspecified = host === '' || host === '0.0.0.0' || host === '::'
  return joinHostPort(unspecified ? target.host : host, port)
}
