/** Roles and users as resources: the shape of their YAML, complete with defaults, as stored and as shown by `tctl get`. */

/** Label selectors. Prototype-less where a parser made them: `__proto__` is a label name like any other. */
export type LabelSelector = Readonly<Record<string, readonly string[]>>

/** The labels of a node. */
export type Labels = Readonly<Record<string, string>>

/** A user's traits: `logins`, and what an identity provider said. */
export type Traits = Readonly<Record<string, readonly string[]>>

export interface Rule {
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  /** A predicate over user and resource. Absent: the rule holds for every resource. */
  readonly where?: string
}

/** Gives roles to ask for or to review by what the user's traits say. */
export interface ClaimMapping {
  /** Name of the trait. */
  readonly claim: string
  /** A literal, with `*`, or `^regex$`. */
  readonly value: string
  readonly roles: readonly string[]
}

/** How many reviewers decide a request. */
export interface ReviewThreshold {
  readonly name: string
  /** A predicate over review, reviewer and request; empty: every review counts. */
  readonly filter: string
  readonly approve: number
  /** 0: no number of denials denies it by this threshold. */
  readonly deny: number
}

/** `request`: roles that may be asked for. Each entry of `roles` is a literal, with `*`, or `^regex$`. */
export interface RequestConditions {
  readonly roles: readonly string[]
  readonly claims_to_roles: readonly ClaimMapping[]
  readonly annotations: Readonly<Record<string, readonly string[]>>
  /** In `allow` only. May hold templates. */
  readonly suggested_reviewers: readonly string[]
  /** In `allow` only. Empty: one approval or one denial decides. */
  readonly thresholds: readonly ReviewThreshold[]
}

/** `review_requests`: requests for which roles the holder may review. */
export interface ReviewConditions {
  readonly roles: readonly string[]
  /** A predicate over reviewer and request; empty: always. */
  readonly where: string
  readonly claims_to_roles: readonly ClaimMapping[]
}

export interface RoleConditions {
  readonly logins: readonly string[]
  readonly node_labels: LabelSelector
  readonly rules: readonly Rule[]
  readonly request: RequestConditions
  readonly review_requests: ReviewConditions
}

export type SessionMode = 'peer' | 'observer' | 'moderator'

/** `join_sessions`: whose sessions the holder may join, and how. */
export interface JoinSessions {
  readonly name: string
  /** Sessions of users who have one of these roles; `*` for everybody's. */
  readonly roles: readonly string[]
  readonly modes: readonly SessionMode[]
}

/** `require_session_join`: who must be present before the holder's interactive sessions go on. */
export interface RequireSessionJoin {
  readonly name: string
  /** Somebody with one of these roles. */
  readonly roles: readonly string[]
  readonly modes: readonly SessionMode[]
  readonly count: number
  /** When they leave. */
  readonly on_leave: 'terminate' | 'pause'
}

/** What a role allows besides what it could also deny. */
export interface AllowConditions extends RoleConditions {
  readonly join_sessions: readonly JoinSessions[]
  readonly require_session_join: readonly RequireSessionJoin[]
}

export interface RecordSession {
  /** Of a recording that fails: `strict` ends the session, `best_effort` marks the gap and goes on. */
  readonly default: 'strict' | 'best_effort'
  /** Records what commands without a terminal print, too. */
  readonly exec_output: boolean
}

export interface RoleOptions {
  /** Milliseconds. */
  readonly max_session_ttl: number
  readonly forward_agent: boolean
  readonly port_forwarding: boolean
  /** Targets of forwarded connections, as `forward-rules.ts` reads them; none means any. */
  readonly forward_to: readonly string[]
  readonly permit_x11_forwarding: boolean
  /** Milliseconds, 0 for none. */
  readonly client_idle_timeout: number
  readonly disconnect_expired_cert: boolean
  /** Connections of one user to the cluster's nodes at once; 0 for any number. */
  readonly max_connections: number
  /** Session channels of one connection; 0 for the engine's own limit. */
  readonly max_sessions: number
  /** Files through sftp and scp. */
  readonly ssh_file_copy: boolean
  readonly record_session: RecordSession
  /** A second factor for each session. */
  readonly require_session_mfa: boolean
  /** Milliseconds for which one proof of it may open sessions on a list of nodes; 0: each session needs its own. */
  readonly session_mfa_grant_ttl: number
  /** Of locks that cannot be asked for: `strict` refuses, `best_effort` goes by what was last known. */
  readonly lock: 'strict' | 'best_effort'
  /** Whether a login asks for more roles: `always` does, `reason` does and wants to know why. */
  readonly request_access: 'optional' | 'always' | 'reason'
  /** What a person is told when asked for the reason. */
  readonly request_prompt: string
  /** Certificates hold only from the address where they were asked for. */
  readonly pin_source_ip: boolean
  /** A node makes the OS account of an allowed login that does not exist there. */
  readonly create_host_user: boolean
}

export interface Metadata {
  readonly name: string
  readonly description?: string
  readonly labels?: Labels
  /** RFC 3339. */
  readonly expires?: string
}

export interface Role {
  readonly kind: 'role'
  readonly version: 'v3' | 'v4'
  readonly metadata: Metadata
  readonly spec: {
    readonly options: RoleOptions
    readonly allow: AllowConditions
    readonly deny: RoleConditions
  }
}

interface LocalDeviceFields {
  readonly id: string
  readonly name: string
  readonly added_at: string
  readonly last_used?: string
}

/** A second factor as a backup has it: `totp_secret` in Base32, the rest of a key in Base64url, its public key in COSE form. */
export type LocalDevice =
  | (LocalDeviceFields & { readonly type: 'totp'; readonly totp_secret: string })
  | (LocalDeviceFields & {
      readonly type: 'webauthn'
      readonly credential_id: string
      readonly public_key: string
      readonly counter: number
      readonly rp_id: string
      readonly transports: readonly string[]
    })

/** How a user proves who they are, in a backup. */
export interface LocalAuth {
  /** PHC string of Argon2id. */
  readonly password_hash?: string
  /** Of backups of earlier releases, which knew one device. */
  readonly totp_secret?: string
  readonly mfa?: readonly LocalDevice[]
  /** SHA-256 of those that are left. */
  readonly recovery_codes?: readonly string[]
}

export interface User {
  readonly kind: 'user'
  readonly version: 'v2'
  readonly metadata: Metadata
  readonly spec: {
    readonly roles: readonly string[]
    readonly traits: Traits
    /** In backups only. */
    readonly local_auth?: LocalAuth
  }
}

/** Why something is allowed or not: shown to administrators, written to the log and the audit trail. */
export interface Decision {
  readonly allow: boolean
  /** A sentence fragment: `role "dev" allows it`. Shown to the person who asked: it does not tell what the role is about. */
  readonly reason: string
  /** The role whose rule decided, when one did. */
  readonly role?: string
  /** What in that role decided, as it stands there: `allow.logins {{internal.logins}}`, `allow.node_labels env=dev`. For administrators. */
  readonly conditions?: readonly string[]
}
