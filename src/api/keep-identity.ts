/**
 * Keeps a machine's identity good: the authorities that it trusts as the cluster says, and a host certificate of the authority that
 * signs now, long before the end of the one it has. New connections show what is new; those that are open are not touched.
 */

import { Backoff } from '../common/backoff.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { NotFound } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import { equalKeys, fingerprintSha256 } from '../ssh/keys/public-key.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import type { ClusterCache } from './cache.ts'
import type { MachineConnection } from './connect.ts'
import { type MachineIdentity, saveIdentity } from './identity.ts'
import { formatKeyLine, parseCertificateLine, parseKeyLine } from './lines.ts'
import { renewHost } from './routes.ts'

export interface KeepIdentityOptions {
  readonly client: Pick<MachineConnection, 'call' | 'renew'>
  readonly state: Pick<ClusterCache, 'live' | 'hostAuthorities' | 'userAuthorities' | 'onChange'>
  /** `identity.json` of the role. */
  readonly path: string
  identity(): MachineIdentity
  replace(identity: MachineIdentity): void
  readonly hostname: string
  readonly env: Env
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** Milliseconds. */
const lookEvery = 60_000
const untilLive = 1_000
/** Machines that hear of a new authority in the same moment ask one after the other. */
const spread = 1_500

/** Runs until the signal. */
export async function keepIdentity(options: KeepIdentityOptions): Promise<void> {
  const { env, logger, signal, state } = options
  const backoff = new Backoff({ initialMs: 1_000, maxMs: lookEvery }, env)
  let wake: () => void = () => undefined
  const stopListening = state.onChange((kind) => {
    if (kind === 'authority') wake()
  })
  try {
    for (;;) {
      const changed = new AbortController()
      wake = () => changed.abort()
      try {
        await follow(options)
        backoff.reset()
        await env
          .sleep(state.live ? lookEvery : untilLive, AbortSignal.any([signal, changed.signal]))
          .catch(() => signal.throwIfAborted())
      } catch (error) {
        signal.throwIfAborted()
        logger.warn('the identity of this machine could not be renewed', { reason: messageOf(error) })
        await backoff.wait(signal)
      }
    }
  } catch {
    // The machine is stopping.
  } finally {
    stopListening()
  }
}

async function follow(options: KeepIdentityOptions): Promise<void> {
  const { state, env, signal } = options
  // What was kept from an earlier run may be older than what the identity says.
  if (!state.live) return
  await followAuthorities(options)
  if (!isDue(options.identity(), state, env.now())) return
  await env.sleep((spread * env.randomBytes(2).readUInt16BE()) / 65_536, signal)
  await renew(options)
}

/** What it trusts has to be on the disk, or it would not know the auth service any more after its next start. */
async function followAuthorities({ state, path, identity, replace, logger }: KeepIdentityOptions): Promise<void> {
  const old = identity()
  const { hostAuthorities, userAuthorities } = state
  if (hostAuthorities.length === 0 || userAuthorities.length === 0) return
  if (same(old.hostAuthorities, hostAuthorities) && same(old.userAuthorities, userAuthorities)) return
  const followed = { ...old, hostAuthorities, userAuthorities }
  await saveIdentity(path, followed)
  replace(followed)
  logger.info('this machine trusts other authorities', { host: hostAuthorities.length, user: userAuthorities.length })
}

/** A third of the lifetime is left, or another authority signs now. */
export function isDue(
  { certificate }: MachineIdentity,
  { hostAuthorities }: Pick<ClusterCache, 'hostAuthorities'>,
  now: Date,
): boolean {
  const { validAfter, validBefore, signatureKey } = certificate
  const seconds = BigInt(Math.floor(now.getTime() / 1000))
  if (validBefore - seconds < (validBefore - validAfter) / 3n) return true
  const [signing] = hostAuthorities
  return signing !== undefined && !equalKeys(signing, signatureKey)
}

/** One renewal, now, with a new key: the old one may be why the authority is another. */
export async function renew(options: KeepIdentityOptions): Promise<void> {
  const { client, hostname, path, env, signal, logger } = options
  const old = options.identity()
  const { uuid, clusterName, role } = old
  const key = generateEd25519(env)
  const publicKey = formatKeyLine(key.publicKey)
  const body = { hostname, publicKey, advertisedNames: namesOf(old, hostname) }
  const answer = await client.call(renewHost, { body }, signal)
  const line = answer.certificates.find((entry) => entry.role === role.toLowerCase())?.certificate
  if (line === undefined) throw new NotFound(`the auth service sent no certificate for the role ${role}`)
  const certificate = parseCertificateLine(line)
  if (!equalKeys(certificate.publicKey, key.publicKey)) throw new NotFound('the auth service certified another key')
  const keys = (lists: typeof answer.hostAuthorities) =>
    lists.flatMap((authority) => authority.keys.map((text) => parseKeyLine(text, 'authority')))
  const identity: MachineIdentity = {
    role,
    uuid,
    clusterName,
    key,
    certificate,
    hostAuthorities: keys(answer.hostAuthorities),
    userAuthorities: keys(answer.userAuthorities),
  }
  await saveIdentity(path, identity)
  options.replace(identity)
  client.renew()
  logger.info('the host certificate was renewed', { authority: fingerprintSha256(certificate.signatureKey) })
}

const same = (a: readonly PublicKey[], b: readonly PublicKey[]): boolean =>
  a.length === b.length && a.every((key, index) => equalKeys(key, b[index] ?? key))

/** The names it has now: a renewal gives no others. Auth adds uuid and host name, alone and with the cluster, itself. */
function namesOf({ certificate, uuid, clusterName }: MachineIdentity, hostname: string): string[] {
  const own = [uuid, hostname.toLowerCase()]
  return certificate.principals.filter(
    (name) => !own.includes(name.toLowerCase()) && !name.toLowerCase().endsWith(`.${clusterName.toLowerCase()}`),
  )
}
