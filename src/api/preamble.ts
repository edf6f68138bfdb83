/** The line with which a proxy says on whose behalf it connects (docs/protocol.md): made by the proxy, believed only when verified. */

import { z } from 'zod'
import { type Env, realEnv } from '../common/env.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { AccessDenied } from '../errors/errors.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { verifySignature } from '../ssh/keys/signature.ts'
import type { PeerAddress } from '../ssh/server-types.ts'
import { WireWriter } from '../ssh/wire/writer.ts'
import type { ClusterState } from './cluster-state.ts'
import { verifyMachine } from './host-certificate.ts'
import type { MachineIdentity } from './identity.ts'
import { parseCertificateLine } from './lines.ts'

export const preamblePrefix = 'TELEPORT-PROXY-V1'

/** Milliseconds by which the proxy's clock may differ from ours. */
const maxSkewMs = 60_000
/** Characters. A line with an RSA certificate has about 4,000. */
const maxLength = 8192
/** Milliseconds. */
const complainEvery = 60_000
/** Nonces remembered. At more than 400 connections a second the oldest are still within the skew, and new ones are refused. */
const maxNonces = 50_000
const maxCertificates = 256

const preamble = z.strictObject({
  client: z.string().max(64),
  target: z.string().max(64),
  time: z.iso.datetime(),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  certificate: z.string().max(6000),
  signature: z.string().max(3000),
})
type Preamble = z.infer<typeof preamble>

/** The whole line with its CRLF, for `SshClientOptions.preamble` or to be written before a spliced stream. */
export async function signPreamble(
  identity: MachineIdentity,
  client: PeerAddress,
  target: string,
  env: Env = realEnv,
): Promise<string> {
  const said = {
    client: formatPeer(client),
    target,
    time: env.now().toISOString(),
    nonce: env.randomBytes(16).toString('hex'),
  }
  const signature = await identity.key.sign(signedText(said))
  const whole: Preamble = {
    ...said,
    certificate: identity.certificate.blob.toString('base64'),
    signature: signature.toString('base64'),
  }
  return `${preamblePrefix} ${Buffer.from(JSON.stringify(whole)).toString('base64url')}\r\n`
}

export interface PreambleVerifier {
  /** For `SshServerOptions.preamble`. */
  readonly prefix: string
  /** The true client. Throws AccessDenied with the reason. */
  verify(text: string, peer: PeerAddress): Promise<PeerAddress>
}

/** `target` is the own uuid, or `auth`. */
export function preambleVerifier(options: {
  readonly target: string
  readonly state: Pick<ClusterState, 'clusterName' | 'hostAuthorities'>
  readonly env?: Env
  readonly logger?: Logger
}): PreambleVerifier {
  const { target, state, env = realEnv, logger = silentLogger } = options
  let complained = Number.NEGATIVE_INFINITY
  /** The client hears no reason, so somebody must. Anybody can send such a line, so now and then is enough. */
  const complain = (time: string) => {
    if (env.monotonicMs() - complained < complainEvery) return
    complained = env.monotonicMs()
    logger.warn(
      'connections through the proxy are refused: its clock and the one of this machine differ; set both by NTP',
      {
        proxy: time,
        here: env.now().toISOString(),
      },
    )
  }
  const nonces = new NonceMemory()
  const certificates = new CertificateMemory()
  return {
    prefix: preamblePrefix,
    async verify(text) {
      const said = parse(text)
      const now = env.now()
      if (said.target !== target) throw refused('it is meant for another server')
      if (Math.abs(Date.parse(said.time) - now.getTime()) > maxSkewMs) {
        complain(said.time)
        throw refused(`it was signed at ${said.time}, more than 60 s from the time here; check both clocks`)
      }
      const certificate = certificates.get(said.certificate)
      const { clusterName, hostAuthorities } = state
      const verdict = verifyMachine(certificate, { clusterName, hostAuthorities, roles: ['Proxy'], now })
      if (!verdict.ok) throw refused(verdict.reason)
      const signature = Buffer.from(said.signature, 'base64')
      const { publicKey, keyType } = certificate
      if (keyType !== 'ssh-ed25519' || !verifySignature(publicKey, signedText(said), signature, keyType)) {
        throw refused('its signature is wrong')
      }
      // Last, so that only a proxy of ours can fill the memory.
      nonces.use(said.nonce, env.monotonicMs())
      return parsePeer(said.client)
    },
  }
}

const refused = (why: string) => new AccessDenied(`the proxy's word about its client is not accepted: ${why}`)

function parse(text: string): Preamble {
  if (text.length > maxLength || !/^[A-Za-z0-9_-]+$/.test(text)) throw refused('it is malformed')
  try {
    return preamble.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')))
  } catch {
    throw refused('it is malformed')
  }
}

function signedText(said: Pick<Preamble, 'client' | 'target' | 'time' | 'nonce'>): Buffer {
  return new WireWriter(256)
    .string('teleport-proxy-v1')
    .string(said.client)
    .string(said.target)
    .string(said.time)
    .string(said.nonce)
    .take()
}

/** Nonces seen lately. Twice the skew old, a line is refused for its time, so its nonce can be forgotten. */
class NonceMemory {
  readonly #seen = new Map<string, number>()

  use(nonce: string, nowMs: number): void {
    for (const [old, forgetAt] of this.#seen) {
      if (forgetAt > nowMs) break
      this.#seen.delete(old)
    }
    if (this.#seen.has(nonce)) throw refused('it was used before')
    if (this.#seen.size >= maxNonces) throw refused('too many connections at once')
    this.#seen.set(nonce, nowMs + 2 * maxSkewMs)
  }
}

/** Parsed certificates: a good signature of the authority is remembered on the parsed value, and there are few proxies. */
class CertificateMemory {
  readonly #parsed = new Map<string, Certificate>()

  get(base64: string): Certificate {
    const known = this.#parsed.get(base64)
    if (known !== undefined) return known
    const certificate = read(base64)
    if (this.#parsed.size >= maxCertificates) this.#parsed.clear()
    this.#parsed.set(base64, certificate)
    return certificate
  }
}

function read(base64: string): Certificate {
  try {
    return parseCertificateLine(`ssh-ed25519-cert-v01@openssh.com ${base64}`)
  } catch {
    throw refused('its certificate is malformed')
  }
}

const formatPeer = ({ address, port }: PeerAddress): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

function parsePeer(text: string): PeerAddress {
  const match = /^(?:\[([0-9A-Fa-f:.%A-Za-z]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text)
  const address = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (address === undefined || port > 65_535) throw refused('the client address in it is malformed')
  return { address, port }
}
