/** The part of the auth API for people in a browser: a proxy logs them in, keeps their cookie, and uses a key that stays with auth. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { proofFields } from './mfa-model.ts'
import { isoTime } from './model.ts'

/**
 * Where the SSH agents of web sessions live: a `direct-tcpip` channel to this host, port 0, of a proxy's connection. The first line is
 * the session's token; what follows is the agent protocol, until the session ends.
 */
export const webAgentHost = 'web-agent.teleport.api'

const client = z.strictObject({ address: z.string().max(64), userAgent: z.string().max(256).optional() })
const token = z.string().max(256)
/** Ids of requests whose roles a session is to have; none: those of its login alone. */
export const assumedRequests = z.array(z.uuid()).max(16)

/** A session as the proxy needs it. The private half of its key is nowhere but with auth. */
const webSession = z.strictObject({
  id: z.uuid(),
  user: z.string(),
  roles: z.array(z.string()),
  logins: z.array(z.string()),
  /** `ssh-ed25519-cert-v01@openssh.com AAAA…` */
  certificate: z.string(),
  created: isoTime,
  /** The end, whatever happens: that of the certificate, or with roles of requests that of the login's own. */
  expires: isoTime,
  /** The end unless something is done before. */
  idleExpires: isoTime,
  /** Ids of approved requests whose roles the certificate has, besides the login's own. */
  accessRequests: z.array(z.uuid()),
})
export type WebSession = z.infer<typeof webSession>

/** The token is in this answer and in the cookie made of it; auth keeps its hash. */
const opened = z.strictObject({ token: z.string(), session: webSession })

export const openWebSession = endpoint({
  method: 'POST',
  path: '/v1/web/sessions',
  summary: 'Password and second factor for a browser session with an SSH key of its own, which auth keeps',
  callers: ['Proxy'],
  body: z.strictObject({
    user: z.string().min(1).max(256),
    password: z.string().max(1024),
    otp: proofFields.otp,
    recoveryCode: proofFields.recoveryCode,
    webauthn: proofFields.webauthn,
    client,
  }),
  output: opened,
})
export const checkWebSession = endpoint({
  method: 'POST',
  path: '/v1/web/sessions/check',
  summary: 'Whose session a token is; with `touch`, its idle time begins anew',
  callers: ['Proxy'],
  body: z.strictObject({ token, touch: z.boolean(), client }),
  output: webSession,
})
export const renewWebSession = endpoint({
  method: 'POST',
  path: '/v1/web/sessions/renew',
  summary:
    'Another token for the same session, which ends when it would have; the old token is dead at once. With `accessRequests` also another certificate: with the roles of these approved requests, or of none',
  callers: ['Proxy'],
  body: z.strictObject({ token, client, accessRequests: assumedRequests.optional() }),
  output: opened,
})
export const endWebSession = endpoint({
  method: 'POST',
  path: '/v1/web/sessions/end',
  summary: "Ends a session, or with `everywhere` all of its user's",
  callers: ['Proxy'],
  body: z.strictObject({ token, everywhere: z.boolean(), client }),
  output: empty,
})

// --- For users, about their own ------------------------------------------------------------------------------------------

/** A session as its user sees it. The id opens nothing, and no other user can do anything with it. */
const ownWebSession = z.strictObject({
  id: z.uuid(),
  created: isoTime,
  /** Exact to half a minute. */
  lastSeen: isoTime,
  /** From where it was used last. */
  address: z.string(),
  /** What the browser said of itself at the login; absent if it said nothing. Anything may stand in it. */
  userAgent: z.string().optional(),
  expires: isoTime,
  /** The one that asks. */
  current: z.boolean(),
})
export type OwnWebSession = z.infer<typeof ownWebSession>

export const listWebSessions = endpoint({
  method: 'GET',
  path: '/v1/web/sessions',
  summary: "The caller's own browser sessions, the one that was used last first",
  callers: ['User'],
  userRule: 'self',
  output: z.strictObject({ items: z.array(ownWebSession) }),
})
export const deleteWebSession = endpoint({
  method: 'DELETE',
  path: '/v1/web/sessions/:id',
  summary: "Ends one of the caller's own browser sessions",
  callers: ['User'],
  userRule: 'self',
  params: z.strictObject({ id: z.uuid() }),
  output: empty,
})
