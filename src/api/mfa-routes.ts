/** Routes of the auth API for second factors: devices, ceremonies in a browser, and certificates that prove one. */

import { z } from 'zod'
import { endpoint } from './define.ts'
import {
  assertion,
  attestation,
  callback,
  ceremonyProof,
  ceremonyStart,
  ceremonyView,
  client,
  creationOptions,
  factorChoice,
  type MfaAction,
  mfaAction,
  mfaDevice,
  proof,
  requestOptions,
} from './mfa-model.ts'
import { userCredentials } from './model.ts'
import { named } from './route-fields.ts'

const self = { callers: ['User'], userRule: 'self' } as const
const withAction = <K extends MfaAction['kind']>(...kinds: readonly K[]) =>
  mfaAction.refine(
    (action): action is Extract<MfaAction, { kind: K }> => (kinds as readonly string[]).includes(action.kind),
    { message: `must be of kind ${kinds.join(' or ')}` },
  )

export const listMfaDevices = endpoint({
  method: 'GET',
  path: '/v1/mfa/devices',
  summary: 'Second factors of the caller, how the caller can prove one, and how many recovery codes are left',
  ...self,
  output: z.strictObject({ items: z.array(mfaDevice), choice: factorChoice, recoveryCodes: z.number().int() }),
})
export const beginMfaDevice = endpoint({
  method: 'POST',
  path: '/v1/mfa/devices/begin',
  summary: 'Begins to enrol a second factor, with a proof of one that the caller has',
  ...self,
  body: z.strictObject({
    action: withAction('add_device'),
    proof,
    /** Of somebody who has no second factor yet. */
    password: z.string().max(1024).optional(),
    callback: callback.optional(),
  }),
  output: z.strictObject({
    totp: z.strictObject({ registration: z.string(), secret: z.string(), uri: z.string() }).optional(),
    ceremony: ceremonyStart.optional(),
  }),
})
export const addMfaDevice = endpoint({
  method: 'POST',
  path: '/v1/mfa/devices',
  summary: 'Enrols a second factor that was begun',
  ...self,
  body: z.strictObject({
    action: withAction('add_device'),
    totp: z.strictObject({ registration: z.string().max(64), code: z.string().max(16) }).optional(),
    ceremony: ceremonyProof.optional(),
  }),
  output: z.strictObject({ device: mfaDevice, recoveryCodes: z.array(z.string()).optional() }),
})
export const removeMfaDevice = endpoint({
  method: 'POST',
  path: '/v1/mfa/devices/remove',
  summary: 'Removes a second factor of the caller, by id or name, with a proof of one',
  ...self,
  body: z.strictObject({ action: withAction('remove_device'), proof }),
  output: mfaDevice,
})
export const newRecoveryCodes = endpoint({
  method: 'POST',
  path: '/v1/mfa/recovery-codes',
  summary: 'New recovery codes for the caller, with a proof; the old ones are void. Shown only here',
  ...self,
  body: z.strictObject({ proof }),
  output: z.strictObject({ codes: z.array(z.string()) }),
})
export const startCeremony = endpoint({
  method: 'POST',
  path: '/v1/mfa/ceremonies',
  summary: 'A page of the proxy on which the caller can prove a security key for one action',
  ...self,
  body: z.strictObject({ action: mfaAction, callback }),
  output: ceremonyStart,
})
export const checkSessionMfa = endpoint({
  method: 'POST',
  path: '/v1/mfa/session/check',
  summary: 'Whether a session of the caller on a node needs a second factor of its own',
  ...self,
  body: z.strictObject({
    host: z.string().min(1).max(512),
    /** Somebody else's session. */
    joining: z.boolean().default(false),
  }),
  output: z.strictObject({
    required: z.boolean(),
    /** When a factor is needed and one node is meant. */
    node: z.strictObject({ uuid: z.uuid(), hostname: z.string(), labels: z.record(z.string(), z.string()) }).optional(),
    choice: factorChoice,
  }),
})
export const sessionCertificate = endpoint({
  method: 'POST',
  path: '/v1/mfa/session',
  summary: 'A certificate of one minute for sessions on one node, with a proof of a second factor',
  ...self,
  body: z.strictObject({ action: withAction('session'), proof }),
  output: userCredentials,
})
export const grantCertificate = endpoint({
  method: 'POST',
  path: '/v1/mfa/grant',
  summary: 'A certificate for sessions on several nodes and a while, where the roles allow it, with a proof',
  ...self,
  body: z.strictObject({ action: withAction('grant'), proof }),
  output: userCredentials,
})

// --- For those who may change the user -----------------------------------------------------------------------------------
const userName = z.string().min(1).max(256)
export const listUserDevices = endpoint({
  method: 'GET',
  path: '/v1/users/:name/devices',
  summary: 'Second factors of a user, without anything secret, and how many recovery codes are left',
  callers: ['Admin', 'User'],
  userRule: { resource: 'user', verb: 'update', each: true },
  params: z.strictObject({ name: userName }),
  output: z.strictObject({ items: z.array(mfaDevice), recoveryCodes: z.number().int() }),
})
export const removeUserDevice = endpoint({
  method: 'DELETE',
  path: '/v1/users/:name/devices/:id',
  summary: 'Removes a second factor of a user, the last one too',
  callers: ['Admin', 'User'],
  userRule: { resource: 'user', verb: 'update', each: true },
  params: z.strictObject({ name: userName, id: z.uuid() }),
  output: mfaDevice,
})

// --- For clients of the proxy that have no certificate yet ---------------------------------------------------------------
export const beginLogin = endpoint({
  method: 'POST',
  path: '/v1/login/begin',
  summary: 'With the right password: which second factors the user has, and a challenge for the security keys',
  callers: ['Proxy'],
  body: z.strictObject({ ...named, client }),
  output: z.strictObject({ choice: factorChoice, webauthn: requestOptions.optional() }),
})
export const startLoginCeremony = endpoint({
  method: 'POST',
  path: '/v1/login/ceremony',
  summary:
    'With the right password: a page on which the user can prove a security key for this login, or for another password',
  callers: ['Proxy'],
  body: z.strictObject({ ...named, action: withAction('login', 'change_password'), callback, client }),
  output: ceremonyStart,
})
export const openCeremony = endpoint({
  method: 'POST',
  path: '/v1/ceremonies/open',
  summary: 'What a ceremony authorises, and the challenge for it',
  callers: ['Proxy'],
  body: z.strictObject({ id: z.string().max(64), client }),
  output: ceremonyView,
})
export const answerCeremony = endpoint({
  method: 'POST',
  path: '/v1/ceremonies/answer',
  summary: "The security key's answer; where the browser has to go with the code",
  callers: ['Proxy'],
  body: z.strictObject({
    id: z.string().max(64),
    assertion: assertion.optional(),
    attestation: attestation.optional(),
    client,
  }),
  output: z.strictObject({ redirect: z.string() }),
})
export const beginInviteKey = endpoint({
  method: 'POST',
  path: '/v1/invites/webauthn',
  summary: 'A challenge for enrolling a security key with an invite or reset link',
  callers: ['Proxy'],
  body: z.strictObject({ token: z.string().max(256), client }),
  output: creationOptions,
})
