/**
 * The typed union of audit events, with the names, codes and field names of Teleport, so that what people already have
 * for searching them keeps working. Source: Teleport 7, lib/events.
 */

import type { Env } from '../common/env.ts'

/** What every event has. */
interface Common {
  /** Unique: an event delivered twice is stored once. */
  readonly uid: string
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string
  readonly cluster_name: string
}

/** Where a connection came from and went to, `host:port`. */
interface Addresses {
  readonly 'addr.local'?: string
  readonly 'addr.remote'?: string
}

interface Server {
  readonly server_id: string
  readonly server_hostname: string
  readonly server_addr?: string
  readonly server_labels?: Readonly<Record<string, string>>
}

interface Session extends Server, Addresses {
  readonly user: string
  /** The OS account. */
  readonly login: string
  readonly sid: string
}

interface Outcome {
  readonly success: boolean
  /** Present when it failed. */
  readonly error?: string
}

/** `user` is who did it; `name` is whom or what it was done to. */
interface ResourceChange {
  readonly user: string
  readonly name: string
}

interface Fields {
  'user.login': Outcome & Addresses & { readonly user: string; readonly method: string; readonly message?: string }
  'user.create': ResourceChange & { readonly roles: readonly string[]; readonly connector?: string }
  'user.update': ResourceChange & { readonly roles: readonly string[]; readonly connector?: string }
  'user.delete': ResourceChange
  'user.password_change': Addresses & { readonly user: string }
  'session.start': Session & {
    readonly interactive: boolean
    readonly size?: string
    readonly initial_command?: readonly string[]
  }
  'session.end': Session & {
    readonly interactive: boolean
    readonly session_start: string
    readonly session_stop: string
    readonly participants: readonly string[]
  }
  exec: Session & { readonly command: string; readonly exitCode?: string; readonly exitError?: string }
  /** A refused SSH authentication or login. */
  auth: Addresses &
    Partial<Server> & {
      readonly user: string
      readonly login?: string
      readonly success: false
      readonly error: string
    }
  /** A forwarded connection; `addr` is the target. */
  port: Outcome &
    Partial<Server> &
    Addresses & { readonly user: string; readonly login: string; readonly sid?: string; readonly addr: string }
  'cert.create': {
    readonly cert_type: 'user' | 'host'
    readonly user?: string
    readonly identity: Readonly<Record<string, unknown>>
  } & Addresses
  'token.create': { readonly user: string; readonly roles: readonly string[]; readonly expires?: string }
  'reset_password_token.create': ResourceChange & { readonly ttl: string }
  'role.created': ResourceChange
  'role.deleted': ResourceChange
  'client.disconnect': Addresses &
    Partial<Server> & { readonly user: string; readonly login?: string; readonly sid?: string; readonly reason: string }
}

export type EventName = keyof Fields

const codes = {
  'user.login': { ok: 'T1000I', failed: 'T1000W' },
  'user.create': { ok: 'T1002I' },
  'user.update': { ok: 'T1003I' },
  'user.delete': { ok: 'T1004I' },
  'user.password_change': { ok: 'T1005I' },
  'session.start': { ok: 'T2000I' },
  'session.end': { ok: 'T2004I' },
  exec: { ok: 'T3002I', failed: 'T3002E' },
  auth: { ok: 'T3007W', failed: 'T3007W' },
  port: { ok: 'T3003I', failed: 'T3003E' },
  'cert.create': { ok: 'TC000I' },
  'token.create': { ok: 'TJT00I' },
  'reset_password_token.create': { ok: 'T6000I' },
  'role.created': { ok: 'T9000I' },
  'role.deleted': { ok: 'T9001I' },
  'client.disconnect': { ok: 'T3006I' },
} as const satisfies Record<EventName, { ok: string; failed?: string }>

export const eventNames = Object.keys(codes) as readonly EventName[]

type Codes = typeof codes
export type EventCode<Name extends EventName = EventName> = Codes[Name][keyof Codes[Name]] & string

export type EventOf<Name extends EventName> = { readonly event: Name; readonly code: EventCode<Name> } & Common &
  Fields[Name]
export type AuditEvent = { [Name in EventName]: EventOf<Name> }[EventName]

/** What a caller says; uid, time and code are added. */
export type EventInput<Name extends EventName> = { readonly event: Name; readonly cluster_name: string } & Fields[Name]

/** An event in a store: `ei` grows by one with each event and never repeats; `trimmed` names fields that were cut. */
export type StoredEvent = AuditEvent & { readonly ei: number; readonly trimmed?: readonly string[] }

/** Completes an event with its uid, time and code. The code says failure when `success` is false or `exitError` is set. */
export function newEvent<Name extends EventName>(
  env: Pick<Env, 'now' | 'randomUuid'>,
  input: EventInput<Name>,
): EventOf<Name> {
  const failed =
    ('success' in input && input.success === false) || ('exitError' in input && input.exitError !== undefined)
  const event: unknown = {
    ...input,
    uid: env.randomUuid(),
    time: env.now().toISOString(),
    code: codeOf(input.event, failed),
  }
  // The compiler cannot follow the code through the table; `codes` is checked where it stands.
  return event as EventOf<Name>
}

function codeOf(name: EventName, failed: boolean): string {
  const code: { readonly ok: string; readonly failed?: string } = codes[name]
  return failed ? (code.failed ?? code.ok) : code.ok
}

/** Does this code belong to this event? */
export function isEventCode(name: string, code: string): name is EventName {
  if (!Object.hasOwn(codes, name)) return false
  const known: { readonly ok: string; readonly failed?: string } = codes[name as EventName]
  return code === known.ok || code === known.failed
}
