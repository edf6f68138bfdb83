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
}

export interface RoleConditions {
  readonly logins: readonly string[]
  readonly node_labels: LabelSelector
  readonly rules: readonly Rule[]
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

export interface User {
  readonly kind: 'user'
  readonly version: 'v2'
  readonly metadata: Metadata
  readonly spec: {
    readonly roles: readonly string[]
    readonly traits: Traits
  }
}

/** Why something is allowed or not: shown to administrators, written to the log and the audit trail. */
export interface Decision {
  readonly allow: boolean
  /** A sentence fragment: `role "dev" allows it`. */
  readonly reason: string
  /** The role whose rule decided, when one did. */
  readonly role?: string
}
