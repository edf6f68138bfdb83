/** Logins, invites and certificates. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { acceptedInvite, acceptFields, client, passwordChangeFields, proofFields } from './mfa-model.ts'
import { authority, invite, isoTime, userCredentials } from './model.ts'
import { name, named, publicKeyLine, ttlSeconds } from './route-fields.ts'

export const login = endpoint({
  method: 'POST',
  path: '/v1/login',
  summary: 'Password and second factor for a certificate, on behalf of a client of the proxy',
  callers: ['Proxy'],
  body: z.strictObject({
    ...named,
    ...proofFields,
    publicKey: publicKeyLine,
    ttlSeconds: ttlSeconds.optional(),
    client,
  }),
  output: userCredentials,
})
export const changePassword = endpoint({
  method: 'POST',
  path: '/v1/password',
  summary: "A user's own new password, for the old one and the second factor, on behalf of a client of the proxy",
  callers: ['Proxy'],
  body: z.strictObject({ ...passwordChangeFields, client }),
  output: empty,
})
export const getInvite = endpoint({
  method: 'POST',
  path: '/v1/invites/open',
  summary: 'What an invite or reset link is for; a POST so that the secret stays out of logged paths',
  callers: ['Proxy'],
  body: z.strictObject({ token: z.string().max(256), client }),
  output: invite,
})
export const acceptInvite = endpoint({
  method: 'POST',
  path: '/v1/invites/accept',
  summary: 'Sets password and second factor; uses up the link',
  callers: ['Proxy'],
  body: z.strictObject({ ...acceptFields, client }),
  output: acceptedInvite,
})
export const signUser = endpoint({
  method: 'POST',
  path: '/v1/certificates/user',
  summary: 'Signs a key for a user (`tctl auth sign --user`); the private half stays with the caller',
  callers: ['Admin'],
  body: z.strictObject({ user: name, publicKey: publicKeyLine, ttlSeconds: ttlSeconds.optional() }),
  output: userCredentials,
})
export const signHost = endpoint({
  method: 'POST',
  path: '/v1/certificates/host',
  summary: 'Signs a host key of an OpenSSH server (`tctl auth sign --host`)',
  callers: ['Admin'],
  body: z.strictObject({
    principals: z.array(name).min(1).max(64),
    publicKey: publicKeyLine,
    ttlSeconds: ttlSeconds.optional(),
  }),
  output: z.strictObject({
    certificate: z.string(),
    hostAuthorities: z.array(authority),
    clusterName: z.string(),
    validBefore: isoTime,
  }),
})
export const renewUser = endpoint({
  method: 'POST',
  path: '/v1/certificates/renew',
  summary: 'A certificate for another key of the caller, never living longer than the one it is asked with',
  callers: ['User'],
  userRule: 'self',
  body: z.strictObject({
    publicKey: publicKeyLine,
    ttlSeconds: ttlSeconds.optional(),
    /** Approved requests of the caller, whose roles are wanted too. Those of the certificate that is shown stay. */
    accessRequests: z.array(z.uuid()).max(16).default([]),
  }),
  output: userCredentials,
})
