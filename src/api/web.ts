/** The proxy's HTTPS API on port 3080, for clients that have no certificate yet. Same shape as the auth API; callers are nobody. */

import { z } from 'zod'
import { endpoint } from './define.ts'
import { invite, secondFactor, userCredentials } from './model.ts'

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
    user: z.string().min(1).max(256),
    password: z.string().max(1024),
    otp: z.string().max(16).optional(),
    publicKey: z.string().max(8192),
    ttlSeconds: z.number().int().positive().optional(),
  }),
  output: userCredentials,
})
export const webChangePassword = endpoint({
  method: 'POST',
  path: '/webapi/password',
  summary: "A user's own new password, for the old one and the second factor",
  callers: [],
  body: z.strictObject({
    user: z.string().min(1).max(256),
    password: z.string().max(1024),
    newPassword: z.string().max(1024),
    otp: z.string().max(16).optional(),
  }),
  output: z.strictObject({}),
})
export const webGetInvite = endpoint({
  method: 'POST',
  path: '/webapi/invites/open',
  summary: 'What an invite or reset link is for',
  callers: [],
  body: z.strictObject({ token: z.string().max(256) }),
  output: invite,
})
export const webAcceptInvite = endpoint({
  method: 'POST',
  path: '/webapi/invites/accept',
  summary: 'Sets password and second factor; uses up the link',
  callers: [],
  body: z.strictObject({
    token: z.string().max(256),
    password: z.string().max(1024),
    otp: z.string().max(16).optional(),
  }),
  output: z.strictObject({ user: z.string() }),
})
export { webEndSession, webGetState, webListNodes, webOpenSession, webRenewSession } from './web-app.ts'
