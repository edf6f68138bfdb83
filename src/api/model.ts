/** The values that cross the auth API. Times are ISO 8601 in UTC; keys and certificates are their OpenSSH one-line text form. */

import { z } from 'zod'

export const isoTime = z.iso.datetime()
export const serverRole = z.enum(['auth', 'proxy', 'node'])
export type ServerRole = z.infer<typeof serverRole>

export const labels = z.record(z.string().max(256), z.string().max(4096))

/** How far the replacement of an authority has come (docs/decisions/ca-rotation.md). */
const rotationPhase = z.enum(['init', 'update_clients', 'update_servers', 'rollback'])
const rotationState = z.strictObject({
  phase: rotationPhase,
  mode: z.enum(['auto', 'manual']),
  started: isoTime,
  /** In automatic mode: when the next phase is due, and when the old authority will not be trusted any more. */
  nextPhase: isoTime.optional(),
  ends: isoTime.optional(),
})
export type RotationState = z.infer<typeof rotationState>

/** Public half of an authority. Two keys only while it is rotated. */
export const authority = z.strictObject({
  type: z.enum(['user', 'host']),
  clusterName: z.string(),
  /** `ssh-ed25519 AAAA…`. All of them are trusted now; the first one signs. */
  keys: z.array(z.string()).min(1),
  rotation: rotationState.optional(),
  /** When the last rotation was completed. */
  rotated: isoTime.optional(),
})
export type Authority = z.infer<typeof authority>

/** A node's or proxy's presence. The server sets uuid and role from the caller's certificate, never from the body. */
export const presence = z.strictObject({
  uuid: z.uuid(),
  role: serverRole,
  hostname: z.string(),
  /** `host:port` where it accepts SSH. */
  address: z.string(),
  publicAddresses: z.array(z.string()),
  labels,
  version: z.string(),
  /** Fingerprint of the authority that signed its certificate, as auth sees it; and those of the authorities that it says it knows. */
  certifiedBy: z.string().optional(),
  trusts: z.array(z.string()).optional(),
  /** It has missed several heartbeats and may have gone. Said by auth. */
  quiet: z.boolean().optional(),
  expires: isoTime,
})
export type Presence = z.infer<typeof presence>

export const userRecord = z.strictObject({
  name: z.string(),
  roles: z.array(z.string()),
  /** Trait name → values; `logins` is the one that `{{internal.logins}}` reads. */
  traits: z.record(z.string(), z.array(z.string())),
  createdBy: z.string(),
  created: isoTime,
  /** Set once the user has a password. */
  activated: z.boolean(),
  revision: z.string().optional(),
})
export type UserRecord = z.infer<typeof userRecord>

/** A role as its resource document (kind, version, metadata, spec); `src/access` gives it meaning. */
export const roleRecord = z.looseObject({
  kind: z.literal('role'),
  version: z.string(),
  /** `revision` is there in answers of the API only. */
  metadata: z.looseObject({ name: z.string(), revision: z.string().optional(), expires: z.string().optional() }),
  spec: z.looseObject({}),
})
export type RoleRecord = z.infer<typeof roleRecord>

const printableText = (max: number) =>
  z
    .string()
    .max(max)
    // Shown on terminals of those who are shut out.
    .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/u, 'must be text on one line without control characters')
const lockedName = printableText(256).min(1)

/** Who is shut out: all that are set must fit (`src/access/locks.ts`). */
export const lockTarget = z.strictObject({
  user: lockedName.optional(),
  role: lockedName.optional(),
  login: lockedName.optional(),
  /** Uuid or name. */
  node: lockedName.optional(),
  mfa_device: lockedName.optional(),
})
export const lockMessage = printableText(1000)
export const lockRecord = z.strictObject({
  id: z.uuid(),
  target: lockTarget,
  message: lockMessage,
  /** Absent: it holds until it is removed. */
  expires: isoTime.optional(),
  created: isoTime,
  createdBy: z.string(),
  revision: z.string().optional(),
})
export type LockRecord = z.infer<typeof lockRecord>
export const lockingMode = z.enum(['strict', 'best_effort'])

export const joinToken = z.strictObject({
  /** The token itself when just created; in listings only its beginning and `…`. */
  token: z.string(),
  roles: z.array(serverRole),
  labels,
  static: z.boolean(),
  expires: isoTime.optional(),
})
export type JoinToken = z.infer<typeof joinToken>

/** `on` takes every kind of device, `optional` asks only who has one. */
export const secondFactor = z.enum(['off', 'otp', 'webauthn', 'on', 'optional'])
export type SecondFactor = z.infer<typeof secondFactor>

/** An approved request for roles, as proxies and nodes know it. */
const accessGrant = z.strictObject({
  id: z.uuid(),
  user: z.string(),
  userCreated: isoTime,
  roles: z.array(z.string()),
  expires: isoTime,
})
export type AccessGrantRecord = z.infer<typeof accessGrant>

/** What proxies, nodes and clients must know of the cluster's settings. */
export const clusterConfig = z.strictObject({
  clusterName: z.string(),
  secondFactor,
  /** Seconds, 0 for none. */
  clientIdleTimeout: z.number().int().nonnegative(),
  disconnectExpiredCert: z.boolean(),
  /** Seconds. */
  keepAliveInterval: z.number().int().positive(),
  /** Unanswered messages after which a connection is dead. */
  keepAliveCountMax: z.number().int().positive(),
  sessionRecording: z.string(),
  /** Seconds that a session waits for its owner after a lost connection; 0: it ends at once. */
  sessionDetachTimeout: z.number().int().nonnegative().default(0),
  messageOfTheDay: z.string(),
  /** Whether somebody is let in while locks may be missing, since auth is away for long. */
  lockingMode: lockingMode.default('best_effort'),
  /** Every session on a node needs a second factor, whatever the roles say. */
  requireSessionMfa: z.boolean().default(false),
  /** `host:port` of the web side of a proxy. Absent before the first one was heard of. */
  proxyAddress: z.string().optional(),
})
export type ClusterConfig = z.infer<typeof clusterConfig>

/** Everything that proxies and nodes follow. The first lines of a watch are a snapshot, ended by `ready`. */
export const watchEvent = z.discriminatedUnion('op', [
  z.discriminatedUnion('kind', [
    z.strictObject({ op: z.literal('put'), kind: z.literal('authority'), value: authority }),
    z.strictObject({ op: z.literal('put'), kind: z.literal('role'), value: roleRecord }),
    z.strictObject({ op: z.literal('put'), kind: z.literal('user'), value: userRecord }),
    z.strictObject({ op: z.literal('put'), kind: z.literal('presence'), value: presence }),
    z.strictObject({ op: z.literal('put'), kind: z.literal('config'), value: clusterConfig }),
    z.strictObject({ op: z.literal('put'), kind: z.literal('lock'), value: lockRecord }),
    /** An approved one; one that is not, or not any more, is a deletion. */
    z.strictObject({ op: z.literal('put'), kind: z.literal('access_request'), value: accessGrant }),
  ]),
  z.strictObject({
    op: z.literal('delete'),
    kind: z.enum(['authority', 'role', 'user', 'presence', 'config', 'lock', 'access_request']),
    id: z.string(),
  }),
  z.strictObject({ op: z.literal('ready') }),
  /** Sent every 10 s so that a dead connection is noticed. */
  z.strictObject({ op: z.literal('alive') }),
])
export type WatchEvent = z.infer<typeof watchEvent>

/** A new certificate for a user with what a client stores beside it. */
export const userCredentials = z.strictObject({
  /** `ssh-ed25519-cert-v01@openssh.com AAAA…` */
  certificate: z.string(),
  clusterName: z.string(),
  hostAuthorities: z.array(authority),
  roles: z.array(z.string()),
  logins: z.array(z.string()),
  validBefore: isoTime,
  /** The roles want a login to ask for more of them. */
  accessRequest: z.strictObject({ mode: z.enum(['always', 'reason']), prompt: z.string() }).optional(),
})
export type UserCredentials = z.infer<typeof userCredentials>

/** A machine's certificates with the authorities it must trust. */
export const hostCredentials = z.strictObject({
  uuid: z.uuid(),
  clusterName: z.string(),
  certificates: z.array(z.strictObject({ role: serverRole, certificate: z.string() })),
  hostAuthorities: z.array(authority),
  userAuthorities: z.array(authority),
})
export type HostCredentials = z.infer<typeof hostCredentials>

/** What somebody with an invite or reset link sees and must fill in. */
export const invite = z.strictObject({
  user: z.string(),
  kind: z.enum(['invite', 'reset']),
  clusterName: z.string(),
  secondFactor,
  expires: isoTime,
  minPasswordLength: z.number().int(),
  /** Present where a second factor is to be enrolled. */
  otp: z.strictObject({ secret: z.string(), uri: z.string() }).optional(),
  /** A security key can be enrolled instead. */
  webauthn: z.boolean().default(false),
})
export type Invite = z.infer<typeof invite>
