/** The proxy's HTTPS API for the page in a browser: who is logged in, servers, terminals. The page sees the types of `web*.ts` only. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { proofFields } from './mfa-model.ts'
import { isoTime, labels, secondFactor } from './model.ts'
import { page } from './pages.ts'
import { assumedRequests } from './web-session-routes.ts'

/** Sent with everything that changes something, and with the opening of a terminal; read from the answers below. */
export const csrfHeader = 'x-csrf-token'
/** A call that the page makes by itself says so, and does not keep an unattended session alive. */
export const backgroundHeader = 'x-background'

export const webUser = z.strictObject({
  name: z.string(),
  roles: z.array(z.string()),
  /** OS accounts on one server or another. */
  logins: z.array(z.string()),
  /** `METHOD /v1/…` of the calls to auth that the roles let through; the rest is not offered. */
  calls: z.array(z.string()),
  /** The end, whatever happens. */
  expires: isoTime,
  /** The end unless something is done before. */
  idleExpires: isoTime,
  /** Ids of approved requests whose roles are among these now. */
  accessRequests: z.array(z.uuid()),
})
export type WebUser = z.infer<typeof webUser>

const webState = z.strictObject({
  clusterName: z.string(),
  version: z.string(),
  secondFactor,
  messageOfTheDay: z.string(),
  /** `host:port`, for commands to copy. */
  webAddress: z.string(),
  /** Commands then need --insecure. */
  selfSigned: z.boolean(),
  csrfToken: z.string(),
  /** Absent: nobody is logged in. */
  user: webUser.optional(),
})
export type WebState = z.infer<typeof webState>

export const webGetState = endpoint({
  method: 'GET',
  path: '/webapi/session',
  summary: 'Who is logged in, if anybody; gives the token that changes must carry',
  callers: [],
  output: webState,
})
const logged = z.strictObject({ csrfToken: z.string(), user: webUser })
export const webOpenSession = endpoint({
  method: 'POST',
  path: '/webapi/session',
  summary: 'Logs a browser in; sets its cookie',
  callers: [],
  body: z.strictObject({
    user: z.string().min(1).max(256),
    password: z.string().max(1024),
    otp: proofFields.otp,
    recoveryCode: proofFields.recoveryCode,
    /** For the challenge of `POST /webapi/login/begin`. */
    webauthn: proofFields.webauthn,
  }),
  output: logged,
})
export const webRenewSession = endpoint({
  method: 'POST',
  path: '/webapi/session/renew',
  summary:
    'Another cookie for the same session, which ends when it would have; with `accessRequests`, from now on with the roles of these approved requests besides the own ones',
  callers: [],
  body: z.strictObject({ accessRequests: assumedRequests.optional() }),
  output: logged,
})
export const webEndSession = endpoint({
  method: 'POST',
  path: '/webapi/session/end',
  summary: "Logs out, or with `everywhere` ends all of the user's browser sessions",
  callers: [],
  body: z.strictObject({ everywhere: z.boolean().default(false) }),
  output: empty,
})

const webNode = z.strictObject({
  uuid: z.uuid(),
  hostname: z.string(),
  address: z.string(),
  labels,
  version: z.string(),
  /** It has missed several heartbeats and may have gone. */
  quiet: z.boolean(),
  /** As whom the user may log in there. */
  logins: z.array(z.string()),
})
export type WebNode = z.infer<typeof webNode>

const webNodePage = z.strictObject({
  items: z.array(webNode),
  next: z.string().optional(),
  /** How many match the search. */
  matching: z.number().int(),
  /** How many the user may see. */
  total: z.number().int(),
})
export type WebNodePage = z.infer<typeof webNodePage>

export const webListNodes = endpoint({
  method: 'GET',
  path: '/webapi/nodes',
  summary: 'Servers on which the user may log in, by name',
  callers: [],
  query: z.strictObject({
    /** Words that must all be in the name, the address or a label. */
    search: z.string().max(256).default(''),
    /** `key=value`, each on a line of its own: labels that must be there. */
    labels: z.string().max(4096).default(''),
    ...page,
  }),
  output: webNodePage,
})

export const webGetApiDocument = endpoint({
  method: 'GET',
  path: '/webapi/openapi',
  summary: 'This document, for users who have a rule for some resource',
  callers: [],
  output: z.looseObject({ openapi: z.string() }),
})

/** The subprotocol of a terminal's WebSocket; a second one, `csrf.` and the token, proves that our own page opens it. */
export const terminalProtocol = 'teleport.terminal.v1'
export const terminalPath = '/webapi/terminal'

/** What the page says in text messages; binary ones are what was typed. */
export const terminalRequest = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('resize'),
    columns: z.number().int().min(1).max(1000),
    rows: z.number().int().min(1).max(1000),
  }),
  /** So many bytes of output were shown. */
  z.strictObject({ type: z.literal('shown'), bytes: z.number().int().positive() }),
  z.strictObject({ type: z.literal('ping'), id: z.number().int().nonnegative() }),
  /** Of one who joined a session as its moderator. */
  z.strictObject({ type: z.literal('moderate'), action: z.enum(['pause', 'resume', 'end']) }),
])
export type TerminalRequest = z.infer<typeof terminalRequest>

/** What the proxy says in text messages; binary ones are output. */
export type TerminalNotice =
  | { readonly type: 'ready' }
  /** What it can come back to with `attach`, for so many seconds after a lost connection; 0: the session ends with it. */
  | { readonly type: 'session'; readonly sid: string; readonly keepSeconds: number }
  | { readonly type: 'pong'; readonly id: number }
  /** Something that was asked for is not done; the terminal goes on. */
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'end'; readonly message: string; readonly status?: number }

/** Close codes of the WebSocket: the page means to leave; the proxy lost the session's connection or is being replaced, try again. */
export const terminalLeft = 1000
export const terminalLost = 1012

/** Bytes of output that may be on their way to the page: what is beyond waits at the server that made it. */
export const terminalWindow = 512 * 1024

/** Files, one to a WebSocket: the same guards as a terminal's. */
export const filesProtocol = 'teleport.files.v1'
export const filesPath = '/webapi/files'

/** What the page says in text messages; binary ones are the file, when the page sends one. */
export const fileRequest = z.discriminatedUnion('type', [
  /** All of it was sent, so many bytes. */
  z.strictObject({ type: z.literal('done'), bytes: z.number().int().nonnegative() }),
])

/** What the proxy says in text messages; binary ones are the file, when the page asked for one: `shown` confirms them as output. */
export type FileNotice =
  | { readonly type: 'ready'; readonly size?: number; readonly name?: string }
  /** So many bytes are at the server. */
  | { readonly type: 'stored'; readonly bytes: number }
  /** With a message: it failed. `exists`: there is such a file, and the page did not say that it may be replaced. */
  | { readonly type: 'end'; readonly message?: string; readonly exists?: boolean }
