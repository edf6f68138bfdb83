/** The proxy's HTTPS API on port 3080, for clients that have no certificate yet. Same shape as the auth API; callers are nobody. */

import { z } from 'zod'
import { endpoint } from './define.ts'
import {
  acceptedInvite,
  acceptFields,
  assertion,
  attestation,
  callback,
  ceremonyStart,
  ceremonyView,
  creationOptions,
  factorChoice,
  passwordChangeFields,
  proofFields,
  requestOptions,
} from './mfa-model.ts'
import { invite, secondFactor, userCredentials } from './model.ts'
import { named, publicKeyLine } from './route-fields.ts'

export const ping = endpoint({
  method: 'GET',
  path: '/webapi/ping',
  summary: 'What a client must know before it logs in',
  callers: [],
  output: z.strictObject({
    clusterName: z.string(),
    serverVersion: z.string(),
    auth: z.strictObject({ type: z.literal('local'), secondFactor }),
    proxy: z.strictObject({
      ssh: z.strictObject({
        /** `host:port`; a host of `0.0.0.0` or `[::]` means the one the client used. */
        address: z.string(),
        tunnelAddress: z.string(),
      }),
      web: z.strictObject({ address: z.string() }),
    }),
    messageOfTheDay: z.string(),
  }),
})
export const webAuthorities = endpoint({
  method: 'GET',
  path: '/webapi/authorities',
  summary: 'Public keys of the authorities that the cluster trusts now; the one that signs first',
  callers: [],
  output: z.strictObject({ clusterName: z.string(), host: z.array(z.string()), user: z.array(z.string()) }),
})
export const webLogin = endpoint({
  method: 'POST',
  path: '/webapi/ssh/certs',
  summary: 'Password and second factor for a certificate',
  callers: [],
  body: z.strictObject({
    ...named,
    ...proofFields,
    publicKey: publicKeyLine,
    ttlSeconds: z.number().int().positive().optional(),
  }),
  output: userCredentials,
})
export const webChangePassword = endpoint({
  method: 'POST',
  path: '/webapi/password',
  summary: "A user's own new password, for the old one and the second factor",
  callers: [],
  body: z.strictObject(passwordChangeFields),
  output: z.strictObject({}),
})
export const webPasswordCeremony = endpoint({
  method: 'POST',
  path: '/webapi/password/ceremony',
  summary: 'With the right password: a page on which the user can prove a security key for another one',
  callers: [],
  body: z.strictObject({ ...named, callback }),
  output: ceremonyStart,
})
export const webBeginLogin = endpoint({
  method: 'POST',
  path: '/webapi/login/begin',
  summary: 'With the right password: which second factors the user has, and a challenge for the security keys',
  callers: [],
  body: z.strictObject(named),
  output: z.strictObject({ choice: factorChoice, webauthn: requestOptions.optional() }),
})
export const webLoginCeremony = endpoint({
  method: 'POST',
  path: '/webapi/login/ceremony',
  summary: 'With the right password: a page on which the user can prove a security key for this login',
  callers: [],
  body: z.strictObject({
    ...named,
    publicKey: publicKeyLine,
    ttlSeconds: z.number().int().positive().optional(),
    callback,
  }),
  output: ceremonyStart,
})
export const webOpenCeremony = endpoint({
  method: 'POST',
  path: '/webapi/ceremonies/open',
  summary: 'What a ceremony authorises, and the challenge for it',
  callers: [],
  body: z.strictObject({ id: z.string().max(64) }),
  output: ceremonyView,
})
export const webAnswerCeremony = endpoint({
  method: 'POST',
  path: '/webapi/ceremonies/answer',
  summary: "The security key's answer; where the browser has to go with the code",
  callers: [],
  body: z.strictObject({
    id: z.string().max(64),
    assertion: assertion.optional(),
    attestation: attestation.optional(),
  }),
  output: z.strictObject({ redirect: z.string() }),
})
export const webGetInvite = endpoint({
  method: 'POST',
  path: '/webapi/invites/open',
  summary: 'What an invite or reset link is for',
  callers: [],
  body: z.strictObject({ token: z.string().max(256) }),
  output: invite.extend({
    /** The QR code of `otp.uri`: modules on a side, and the dark ones as an SVG path. */
    qr: z.strictObject({ size: z.number().int(), path: z.string() }).optional(),
  }),
})
export const webInviteKey = endpoint({
  method: 'POST',
  path: '/webapi/invites/webauthn',
  summary: 'A challenge for enrolling a security key with an invite or reset link',
  callers: [],
  body: z.strictObject({ token: z.string().max(256) }),
  output: creationOptions,
})
export const webAcceptInvite = endpoint({
  method: 'POST',
  path: '/webapi/invites/accept',
  summary: 'Sets password and second factor; uses up the link',
  callers: [],
  body: z.strictObject(acceptFields),
  output: acceptedInvite,
})
export {
  webEndSession,
  webGetApiDocument,
  webGetState,
  webListNodes,
  webOpenSession,
  webRenewSession,
} from './web-app.ts'
