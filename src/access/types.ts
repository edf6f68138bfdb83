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

export interface RoleOptions {
  /** Milliseconds. */
  readonly max_session_ttl: number
  readonly forward_agent: boolean
  readonly port_forwarding: boolean
  readonly permit_x11_forwarding: boolean
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
    readonly allow: RoleConditions
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
