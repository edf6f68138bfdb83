/** Security keys: what the proxy asks a key with, and what the key answers, both as JSON. */

import { words } from './text/account.ts'

interface Described {
  readonly id: string
  readonly transports?: readonly AuthenticatorTransport[]
}

type Options = Readonly<Record<string, unknown>>

// Browsers of 2024 and earlier have no JSON forms of these, so they are made by hand.
const toBytes = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))

const toText = (bytes: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

const described = (list: unknown): PublicKeyCredentialDescriptor[] =>
  ((list ?? []) as readonly Described[]).map(({ id, transports }) => ({
    type: 'public-key',
    id: toBytes(id),
    ...(transports === undefined || transports.length === 0 ? {} : { transports: [...transports] }),
  }))

/** Throws an Error with words for a person. */
export async function createKey(options: Options) {
  const user = options.user as { id: string; name: string; displayName: string }
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge as string),
    user: { ...user, id: toBytes(user.id) },
    excludeCredentials: described(options.excludeCredentials),
  } as unknown as PublicKeyCredentialCreationOptions
  const made = await asked(navigator.credentials.create({ publicKey }))
  const response = made.response as AuthenticatorAttestationResponse
  return {
    id: made.id,
    rawId: toText(made.rawId),
    type: 'public-key' as const,
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      attestationObject: toText(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
  }
}

export type Assertion = Awaited<ReturnType<typeof askKey>>

/** Throws an Error with words for a person. */
export async function askKey(options: Options) {
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge as string),
    allowCredentials: described(options.allowCredentials),
  } as unknown as PublicKeyCredentialRequestOptions
  const used = await asked(navigator.credentials.get({ publicKey }))
  const response = used.response as AuthenticatorAssertionResponse
  return {
    id: used.id,
    rawId: toText(used.rawId),
    type: 'public-key' as const,
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature),
    },
  }
}

async function asked(answer: Promise<Credential | null>): Promise<PublicKeyCredential> {
  const credential = await answer.catch((error: unknown) => {
    throw new Error(troubleOf(error))
  })
  if (credential instanceof PublicKeyCredential) return credential
  throw new Error(words.keyNotAnswered)
}

/** The words of browsers about keys are for programmers. */
function troubleOf(error: unknown): string {
  const name = error instanceof DOMException ? error.name : ''
  if (name === 'NotAllowedError') return words.keyNotAnswered
  if (name === 'InvalidStateError') return words.keyEnrolled
  if (name === 'SecurityError') return words.keyAddress
  return error instanceof Error ? error.message : String(error)
}
