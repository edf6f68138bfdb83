/**
 * WebAuthn from the side of the relying party. The signatures and structures are `@simplewebauthn/server`'s to check; here is which
 * names and origins are ours. Nothing is fetched: attestation is judged by the configured authorities alone.
 */

import { isIP } from 'node:net'
import type { Assertion, Attestation } from '../../api/mfa-model.ts'
import { splitAddress } from '../../api/server-index.ts'
import type { Env } from '../../common/env.ts'
import { BadParameter } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { StoredKey } from '../records.ts'
import { type AttestationPolicy, checkAttestation } from './attestation.ts'

export interface WebAuthnSettings extends AttestationPolicy {
  /** Default: the host of the proxies' web address. */
  readonly rpId?: string
  /** False: no security keys, whatever `second_factor` says. */
  readonly enabled: boolean
}

/** ES256, EdDSA, RS256: what keys have. */
const algorithms = [-7, -8, -257]

/** Milliseconds that a browser waits for the key. */
const timeout = 120_000

export interface RelyingPartyOptions {
  readonly settings: WebAuthnSettings
  readonly clusterName: string
  readonly env: Env
  /** `host:port` of the proxies' web sides, the first one leading. */
  webAddresses(): readonly string[]
}

type Verified<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string }

export class RelyingParty {
  readonly #options: RelyingPartyOptions

  constructor(options: RelyingPartyOptions) {
    this.#options = options
  }

  /** Name that keys are bound to. Throws BadParameter where there is none that WebAuthn can use. */
  get id(): string {
    const { settings, webAddresses } = this.#options
    const [first] = webAddresses()
    const id = settings.rpId ?? (first === undefined ? undefined : splitAddress(first).host)
    if (id === undefined) throw new BadParameter('rp_id', 'no proxy is known yet; set authentication.webauthn.rp_id')
    if (isIP(id) !== 0) {
      throw new BadParameter(
        'rp_id',
        `security keys need a host name, and the proxy is known as ${id}; set proxy_service.public_addr or authentication.webauthn.rp_id`,
      )
    }
    return id
  }

  /** Origins of pages whose answers count: web sides of proxies under the name. */
  get origins(): string[] {
    const { id } = this
    const hosts = this.#options.webAddresses().map((address) => splitAddress(address))
    const ours = hosts.filter(({ host }) => host === id || host.endsWith(`.${id}`))
    return [...new Set(ours.map(({ host, port }) => `https://${host}${port === 443 ? '' : `:${port ?? 3080}`}`))]
  }

  async creationOptions(user: string, challenge: Uint8Array, known: readonly StoredKey[]) {
    const { generateRegistrationOptions } = await library()
    const { settings, clusterName } = this.#options
    const { allowedCas, deniedCas } = settings
    return await generateRegistrationOptions({
      rpName: clusterName,
      rpID: this.id,
      userName: user,
      // The same for all keys of a user; no names in it.
      userID: new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`user ${user}`))),
      challenge: new Uint8Array(challenge),
      timeout,
      supportedAlgorithmIDs: algorithms,
      attestationType: allowedCas.length + deniedCas.length > 0 ? 'direct' : 'none',
      excludeCredentials: known.map((key) => ({ id: key.credentialId, transports: key.transports })),
      authenticatorSelection: { residentKey: 'discouraged', userVerification: 'discouraged' },
    })
  }

  async requestOptions(challenge: Uint8Array, keys: readonly StoredKey[]) {
    const { generateAuthenticationOptions } = await library()
    return await generateAuthenticationOptions({
      rpID: this.id,
      challenge: new Uint8Array(challenge),
      timeout,
      allowCredentials: keys.map((key) => ({ id: key.credentialId, transports: key.transports })),
      // It is the second factor: the first one was the password.
      userVerification: 'discouraged',
    })
  }

  /** The challenge was looked up by the caller. Throws BadParameter for a make of key that is not allowed. */
  async verifyCreation(
    response: Attestation,
    challenge: string,
  ): Promise<Verified<Pick<StoredKey, 'credentialId' | 'publicKey' | 'counter' | 'rpId' | 'transports'>>> {
    const { verifyRegistrationResponse } = await library()
    const { settings, env } = this.#options
    const rpId = this.id
    const verified = await attempt(() =>
      verifyRegistrationResponse({
        response: { ...response, clientExtensionResults: {} } as Parameters<
          typeof verifyRegistrationResponse
        >[0]['response'],
        expectedChallenge: challenge,
        expectedOrigin: this.origins,
        expectedRPID: rpId,
        requireUserPresence: true,
        supportedAlgorithmIDs: algorithms,
        requireUserVerification: false,
      }),
    )
    if (!verified.ok) return verified
    const { registrationInfo } = verified.value
    if (registrationInfo === undefined) return { ok: false, why: "the security key's answer is not right" }
    const { credential, attestationObject } = registrationInfo
    checkAttestation(settings, await chainOf(attestationObject), env.now())
    return {
      ok: true,
      value: {
        credentialId: credential.id,
        publicKey: Buffer.from(credential.publicKey).toString('base64url'),
        counter: credential.counter,
        rpId,
        transports: (response.response.transports ?? []).filter((each) => /^[a-z-]{1,32}$/.test(each)),
      },
    }
  }

  /** The new counter. The challenge was looked up by the caller. */
  async verifyAssertion(response: Assertion, challenge: string, key: StoredKey): Promise<Verified<number>> {
    const { verifyAuthenticationResponse } = await library()
    const verified = await attempt(() =>
      verifyAuthenticationResponse({
        response: { ...response, clientExtensionResults: {} } as Parameters<
          typeof verifyAuthenticationResponse
        >[0]['response'],
        expectedChallenge: challenge,
        expectedOrigin: this.origins,
        expectedRPID: this.id,
        credential: {
          id: key.credentialId,
          publicKey: new Uint8Array(Buffer.from(key.publicKey, 'base64url')),
          counter: key.counter,
        },
        requireUserVerification: false,
      }),
    )
    if (!verified.ok) return verified
    if (!verified.value.verified) return { ok: false, why: "the security key's signature is wrong" }
    return { ok: true, value: verified.value.authenticationInfo.newCounter }
  }
}

/** The challenge that an answer claims to be for; undefined for what is no answer. */
export function challengeOf(clientDataJSON: string): string | undefined {
  try {
    const data: unknown = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString('utf8'))
    if (typeof data !== 'object' || data === null || !('challenge' in data)) return undefined
    return typeof data.challenge === 'string' ? data.challenge : undefined
  } catch {
    return undefined
  }
}

/** What the library finds wrong is the answer's fault, never ours: its words are for the log. */
async function attempt<T>(run: () => Promise<T>): Promise<Verified<T>> {
  try {
    return { ok: true, value: await run() }
  } catch (error) {
    return { ok: false, why: `the security key's answer is refused: ${messageOf(error)}` }
  }
}

async function chainOf(attestationObject: Uint8Array): Promise<readonly Uint8Array[]> {
  const { decodeAttestationObject } = await import('@simplewebauthn/server/helpers')
  return decodeAttestationObject(new Uint8Array(attestationObject)).get('attStmt').get('x5c') ?? []
}

let loaded: Promise<typeof import('@simplewebauthn/server')> | undefined

/** Loaded with the first key. Its built-in authorities go: with them it would fetch lists of revoked certificates from addresses that a key names. */
function library() {
  loaded ??= import('@simplewebauthn/server').then((module) => {
    for (const identifier of ['android-key', 'android-safetynet', 'apple'] as const) {
      module.SettingsService.setRootCertificates({ identifier, certificates: [] })
    }
    return module
  })
  return loaded
}
