/** Second factors as they cross the APIs: devices, what a proof is asked for, and the proofs. */

import { z } from 'zod'
import { isoTime } from './model.ts'
import { named, publicKeyLine } from './route-fields.ts'

const deviceKind = z.enum(['totp', 'webauthn'])

/** Without anything secret. */
export const mfaDevice = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  kind: deviceKind,
  addedAt: isoTime,
  lastUsed: isoTime.optional(),
})
export type MfaDevice = z.infer<typeof mfaDevice>

export const deviceName = z
  .string()
  .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,64}$/u, 'must be 1 to 64 characters on one line')
  .refine((name) => name.trim() === name, 'must not begin or end with a space')

const host = z.string().min(1).max(512)
const ttlSeconds = z.number().int().positive().max(31_536_000)

/** What a proof is for. It is bound to exactly this: neither the kind nor any value can be changed afterwards. */
export const mfaAction = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('login'), publicKey: publicKeyLine, ttlSeconds: ttlSeconds.optional() }),
  /** A certificate for one session on one node. */
  z.strictObject({ kind: z.literal('session'), publicKey: publicKeyLine, host }),
  /** A certificate for sessions on several nodes and a while. */
  z.strictObject({
    kind: z.literal('grant'),
    publicKey: publicKeyLine,
    hosts: z.array(host).min(1).max(64),
    ttlSeconds,
  }),
  z.strictObject({ kind: z.literal('add_device'), device: deviceKind, name: deviceName }),
  z.strictObject({ kind: z.literal('remove_device'), device: z.string().min(1).max(128) }),
  z.strictObject({ kind: z.literal('recovery_codes') }),
  /** The new one is no part of it: it comes with the present one, once the key was touched. */
  z.strictObject({ kind: z.literal('change_password') }),
])
export type MfaAction = z.infer<typeof mfaAction>

/** One text for one action. `secret` text is never part of it. */
export function bindingOf(action: MfaAction | { readonly kind: 'web_login' }): string {
  switch (action.kind) {
    case 'web_login':
    case 'recovery_codes':
    case 'change_password':
      return JSON.stringify([action.kind])
    case 'login':
      return JSON.stringify([action.kind, keyOf(action.publicKey), action.ttlSeconds ?? 0])
    case 'session':
      return JSON.stringify([action.kind, keyOf(action.publicKey), action.host])
    case 'grant':
      return JSON.stringify([action.kind, keyOf(action.publicKey), action.hosts, action.ttlSeconds])
    case 'add_device':
      return JSON.stringify([action.kind, action.device, action.name])
    case 'remove_device':
      return JSON.stringify([action.kind, action.device])
  }
}

/** A comment is no part of a key. */
const keyOf = (line: string): string => line.trim().split(/\s+/).slice(0, 2).join(' ')

const base64url = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[A-Za-z0-9_-]*$/)

const transports = z.array(z.string().max(32)).max(16)
const extensionResults = z.record(z.string().max(64), z.unknown()).optional()

/** What a browser answers, as `PublicKeyCredential.toJSON()` writes it (WebAuthn level 3, 5.1). Unknown fields are dropped. */
export const assertion = z.object({
  id: base64url(1400),
  rawId: base64url(1400),
  type: z.literal('public-key'),
  clientExtensionResults: extensionResults,
  response: z.object({
    clientDataJSON: base64url(8192),
    authenticatorData: base64url(8192),
    signature: base64url(8192),
    userHandle: base64url(256).nullish(),
  }),
})
export type Assertion = z.infer<typeof assertion>
export const attestation = z.object({
  id: base64url(1400),
  rawId: base64url(1400),
  type: z.literal('public-key'),
  clientExtensionResults: extensionResults,
  response: z.object({
    clientDataJSON: base64url(8192),
    attestationObject: base64url(40_000),
    transports: transports.optional(),
  }),
})
export type Attestation = z.infer<typeof attestation>

/** What the browser is asked with (`PublicKeyCredential.parse…OptionsFromJSON`). */
export const requestOptions = z.looseObject({ challenge: z.string(), rpId: z.string() })
export const creationOptions = z.looseObject({ challenge: z.string() })

const hexToken = z.string().regex(/^[0-9a-f]{32}$/)

/** A finished ceremony: its id, the secret of the program that began it, and the code that the browser brought back. */
export const ceremonyProof = z.strictObject({ id: hexToken, secret: hexToken, code: hexToken })
export type CeremonyProof = z.infer<typeof ceremonyProof>

/** One of them. */
export const proofFields = {
  otp: z.string().max(16).optional(),
  recoveryCode: z.string().max(64).optional(),
  webauthn: assertion.optional(),
  ceremony: ceremonyProof.optional(),
}
export const proof = z.strictObject(proofFields)
export type Proof = z.infer<typeof proof>

/** What a client of the proxy sends for another password; the proxy sends it on to auth and adds who the client is. */
export const passwordChangeFields = {
  ...named,
  newPassword: z.string().max(1024),
  otp: proofFields.otp,
  ceremony: proofFields.ceremony,
}

/** Where the browser brings the code back to: a listener of the program that began, on a loopback address. */
export const callback = z.strictObject({
  host: z.enum(['127.0.0.1', '::1']),
  port: z.number().int().min(1).max(65_535),
  /** Comes back unchanged, so that the program knows its own ceremony. */
  state: hexToken,
})
export type Callback = z.infer<typeof callback>

export const ceremonyStart = z.strictObject({
  id: hexToken,
  /** Known to nobody but the program that began. */
  secret: hexToken,
  url: z.string(),
  /** Shown by both sides, so that a person can compare. */
  phrase: z.string(),
  expires: isoTime,
})
export type CeremonyStart = z.infer<typeof ceremonyStart>

/** What the page shows and asks the key with. */
export const ceremonyView = z.strictObject({
  user: z.string(),
  clusterName: z.string(),
  /** Of the program that began. */
  address: z.string(),
  phrase: z.string(),
  title: z.string(),
  /** Label and value. */
  details: z.array(z.tuple([z.string(), z.string()])),
  get: requestOptions.optional(),
  create: creationOptions.optional(),
})
export type CeremonyView = z.infer<typeof ceremonyView>

/** How this user can prove a second factor now. */
export const factorChoice = z.strictObject({ otp: z.boolean(), webauthn: z.boolean(), recoveryCode: z.boolean() })
export type FactorChoice = z.infer<typeof factorChoice>

/** What an invite or reset link is answered with, on the same way. */
export const acceptFields = {
  token: z.string().max(256),
  password: z.string().max(1024),
  otp: z.string().max(16).optional(),
  webauthn: attestation.optional(),
  deviceName: deviceName.optional(),
}

/** After a sign-up: codes that are shown this once, where a second factor was enrolled. */
export const acceptedInvite = z.strictObject({ user: z.string(), recoveryCodes: z.array(z.string()).optional() })

/** Limits and records count against the true client, which the proxy reports. */
export const client = z.strictObject({ address: z.string().max(64), userAgent: z.string().max(256).optional() })
