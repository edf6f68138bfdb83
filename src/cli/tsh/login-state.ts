/** Who the user is for this command: flags, then environment, then the stored profile. */

import { AccessDenied, BadParameter, NotFound } from '../../errors/errors.ts'
import type { Certificate } from '../../ssh/certificate/types.ts'
import { parsePrivateKey } from '../../ssh/keys/private-key-file.ts'
import type { PrivateKey, PublicKey } from '../../ssh/keys/types.ts'
import type { OptionValues } from '../common/spec.ts'
import { joinHostPort, parseProxyAddress, splitHostPort } from './address.ts'
import { readIdentityFile } from './identity-file.ts'
import { certificateOfLine, publicKeyOfLine, validBefore } from './keys.ts'
import { listProfiles, loadLogin, loadProfile, type Profile, type StoredLogin } from './profile.ts'
import { tshHome } from './store.ts'

export const defaultWebPort = 3080
export const defaultSshPort = 3023

/** A login that is ready to be used. */
export interface ActiveLogin {
  readonly profile: Profile
  readonly key: PrivateKey
  readonly certificate: Certificate
  /** Others once the command has learned that the cluster has replaced them. */
  hostAuthorities: readonly PublicKey[]
  /** The HTTPS certificate of the proxy is not verified. */
  readonly insecure: boolean
  /** From `-i FILE`, not from the directory. */
  readonly fromFile: boolean
  readonly mfa: MfaSettings
}

/** How a second factor is proved where one is asked for. */
export interface MfaSettings {
  readonly mode: 'auto' | 'otp' | 'webauthn'
  /** Where the browser's answer comes to. */
  readonly bindAddress: string | undefined
  /** `none`: only print the address. */
  readonly browser: string | undefined
}

const defaultMfa: MfaSettings = { mode: 'auto', bindAddress: undefined, browser: undefined }

/** What the command line and the environment say; undefined where they say nothing. */
export interface Wanted {
  readonly proxy: string | undefined
  readonly user: string | undefined
  readonly cluster: string | undefined
  readonly identityFile: string | undefined
  readonly insecure: boolean
  readonly mfa: MfaSettings
}

const filled = (text: string | undefined): string | undefined => (text === '' ? undefined : text)

export function wantedFrom(options: OptionValues, env: NodeJS.ProcessEnv = process.env): Wanted {
  return {
    proxy: options.string('proxy') ?? filled(env.TELEPORT_PROXY),
    user: options.string('user') ?? filled(env.TELEPORT_USER),
    cluster: options.string('cluster') ?? filled(env.TELEPORT_CLUSTER),
    identityFile: options.string('identity'),
    insecure: options.flag('insecure'),
    mfa: {
      mode: mfaMode(options.string('mfaMode')),
      bindAddress: options.string('bindAddr') ?? filled(env.TELEPORT_BIND_ADDR),
      browser: options.string('browser') ?? filled(env.TELEPORT_BROWSER),
    },
  }
}

function mfaMode(text: string | undefined): MfaSettings['mode'] {
  if (text === undefined || text === 'auto' || text === 'otp' || text === 'webauthn') return text ?? 'auto'
  throw new BadParameter('--mfa-mode', `--mfa-mode: ${JSON.stringify(text)} is not auto, otp or webauthn`)
}

/** The profile that is meant, or undefined when nobody has logged in there. */
export function wantedProfile(wanted: Wanted, home: string = tshHome()): Profile | undefined {
  const proxy = wanted.proxy === undefined ? undefined : parseProxyAddress(wanted.proxy)
  const profile = loadProfile(home, proxy?.host)
  if (profile === undefined) return undefined
  if (wanted.user !== undefined && wanted.user !== profile.user) return undefined
  if (proxy?.sshPort !== undefined) {
    return { ...profile, sshProxyAddress: joinHostPort(proxy.host, proxy.sshPort) }
  }
  return profile
}

/** Reads the login that the command is to use. Throws NotFound when there is none, AccessDenied when it has expired. */
export function activeLogin(wanted: Wanted, now: Date, home: string = tshHome()): ActiveLogin {
  const login =
    wanted.identityFile === undefined ? storedLogin(wanted, home) : loginFromFile(wanted, wanted.identityFile)
  const { user, cluster, proxyHost } = login.profile
  if (validBefore(login.certificate).getTime() <= now.getTime()) {
    const until = validBefore(login.certificate).toISOString()
    const remedy = login.fromFile ? 'ask for a new one' : `log in again: tsh login --proxy=${proxyHost} --user=${user}`
    throw new AccessDenied(
      `the certificate of ${user} expired at ${until} (the clock here says ${now.toISOString()}); ${remedy}`,
    )
  }
  if (wanted.cluster !== undefined && wanted.cluster !== cluster) {
    throw new NotFound(`cluster ${wanted.cluster} is not known to ${proxyHost}; this login is for ${cluster}`)
  }
  return { ...login, mfa: wanted.mfa }
}

function storedLogin(wanted: Wanted, home: string): ActiveLogin {
  const profile = wantedProfile(wanted, home)
  if (profile === undefined) {
    const where = wanted.proxy ?? 'HOST'
    const others = listProfiles(home).map((each) => each.proxyHost)
    const hint = others.length === 0 ? '' : ` (logged in at: ${others.join(', ')})`
    throw new NotFound(`not logged in${hint}; log in with: tsh login --proxy=${where}`)
  }
  const stored = loadLogin(home, profile)
  if (stored === undefined) throw new NotFound(`not logged in; log in with: tsh login --proxy=${profile.proxyHost}`)
  return openLogin(stored, false, wanted.insecure)
}

/** Parses the texts of a login. Throws BadParameter when a file is damaged. */
export function openLogin(stored: StoredLogin, fromFile: boolean, insecure = false): ActiveLogin {
  const certificate = certificateOfLine(stored.certificate, 'certificate')
  const key = parsePrivateKey(stored.privateKey)
  if (!certificate.publicKey.blob.equals(key.publicKey.blob)) {
    throw new BadParameter('certificate', 'the stored certificate belongs to another key; log in again with: tsh login')
  }
  return {
    profile: stored.profile,
    key,
    certificate,
    hostAuthorities: stored.hostAuthorities.map((line) => publicKeyOfLine(line, 'known_hosts')),
    fromFile,
    insecure,
    mfa: defaultMfa,
  }
}

function loginFromFile(wanted: Wanted, path: string): ActiveLogin {
  const file = readIdentityFile(path)
  if (wanted.proxy === undefined) {
    throw new BadParameter('--proxy', 'with -i the proxy must be named: --proxy=HOST or TELEPORT_PROXY')
  }
  const proxy = parseProxyAddress(wanted.proxy)
  const certificate = certificateOfLine(file.certificate, path)
  const profile: Profile = {
    proxyHost: proxy.host,
    webProxyAddress: joinHostPort(proxy.host, proxy.webPort ?? defaultWebPort),
    sshProxyAddress: joinHostPort(proxy.host, proxy.sshPort ?? defaultSshPort),
    user: certificate.keyId,
    cluster: file.cluster,
  }
  return openLogin({ ...file, profile }, true, wanted.insecure)
}

/** Host and port of the proxy's SSH side. */
export const sshProxy = (profile: Profile) => splitHostPort(profile.sshProxyAddress, 'ssh_proxy_addr')
