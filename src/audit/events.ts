/**
 * The typed union of audit events, with the names, codes and field names of Teleport, so that what people already have
 * for searching them keeps working. Source: Teleport 7, lib/events.
 */

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

/** What a party may do: a peer types, an observer watches, a moderator watches, pauses and ends. */
export type PartyMode = 'peer' | 'observer' | 'moderator'

interface FileChange extends Outcome {
  /** As the client named it, made absolute. */
  readonly path: string
}

interface FileTransfer extends FileChange {
  /** Bytes that crossed. */
  readonly size: number
  /** Hex, of the bytes that crossed; absent with `partial: true`, when they were not one run from start to end. */
  readonly sha256?: string
  readonly partial?: boolean
  readonly mode?: string
}

/** `user` is who did it; `name` is whom or what it was done to. */
interface ResourceChange {
  readonly user: string
  readonly name: string
}

interface AccessRequestChange {
  readonly user: string
  readonly id: string
  readonly requester: string
  readonly roles: readonly string[]
  /** Afterwards. */
  readonly state: 'PENDING' | 'APPROVED' | 'DENIED'
}

/** Which second factor was proved. */
interface FactorUsed extends Partial<FactorDevice> {
  readonly mfa_method: 'otp' | 'webauthn' | 'recovery_code'
  readonly recovery_codes_left?: number
}

interface FactorDevice {
  readonly mfa_device_name: string
  readonly mfa_device_uuid: string
  readonly mfa_device_type: 'totp' | 'webauthn'
}

interface Fields {
  'user.login': Outcome &
    Addresses &
    Partial<FactorUsed> & { readonly user: string; readonly method: string; readonly message?: string }
  /** Of a browser session, or of all of them. */
  'user.logout': Addresses & { readonly user: string; readonly everywhere: boolean }
  'user.create': ResourceChange & { readonly roles: readonly string[]; readonly connector?: string }
  'user.update': ResourceChange & { readonly roles: readonly string[]; readonly connector?: string }
  'user.delete': ResourceChange
  'user.password_change': Addresses & { readonly user: string }
  'mfa.add': FactorDevice & Addresses & { readonly user: string }
  /** With `name` it was taken from that user, by an administrator. */
  'mfa.delete': FactorDevice & Addresses & { readonly user: string; readonly name?: string }
  'recovery_code.generated': Addresses & { readonly user: string }
  'recovery_code.used': Outcome & Addresses & { readonly user: string; readonly recovery_codes_left?: number }
  /** A proof of a second factor by somebody who is logged in, or on a page for them. */
  'mfa_auth_challenge.validate': Outcome &
    Addresses &
    Partial<FactorUsed> & { readonly user: string; readonly purpose: string }
  /** A certificate with which sessions on these servers need no further proof. */
  'session_mfa.grant': FactorDevice &
    Addresses & {
      readonly user: string
      readonly hosts: readonly string[]
      readonly expires: string
    }
  'session.start': Session & {
    readonly interactive: boolean
    readonly size?: string
    readonly initial_command?: readonly string[]
  }
  /** Somebody came to a session that was there already; `mode` says with which rights. */
  'session.join': Session & { readonly party_id: string; readonly mode: PartyMode }
  'session.leave': Session & { readonly party_id: string; readonly mode: PartyMode; readonly reason?: string }
  /** A party's window changed; `size` is what the session's terminal has now. */
  resize: Session & { readonly size: string }
  'session.end': Session & {
    readonly interactive: boolean
    readonly session_start: string
    readonly session_stop: string
    readonly participants: readonly string[]
    /** `node`, `node-sync` or `off`. */
    readonly session_recording?: string
    readonly reason?: string
  }
  /** Bytes that the client sent (`rx`) and received (`tx`). */
  'session.data': Session & { readonly tx: number; readonly rx: number }
  /** An OS account was made for a login (`create_host_user`), or could not be. */
  'host_user.create': Outcome & Server & { readonly user: string; readonly login: string }
  /** A moderator paused, resumed or ended a session. */
  'session.control': Session & { readonly action: 'pause' | 'resume' | 'end' }
  /** The last client was lost and the shell stays; or its owner came back. */
  'session.detach': Session & { readonly until: string }
  'session.attach': Session
  /** Not started because of a limit of the roles. */
  'session.rejected': Partial<Server> &
    Addresses & { readonly user: string; readonly login: string; readonly reason: string; readonly maximum?: number }
  /** A recording is complete in the store. `sha256` is the last link of its chain, over chunks, header and end. */
  'session.upload': Partial<Session> & {
    readonly sid: string
    readonly chunks: number
    readonly size: number
    readonly sha256: string
    /** The node ended before the session did, and what was kept was completed later. */
    readonly interrupted?: boolean
  }
  'session.recording.failed': Partial<Session> & { readonly sid: string; readonly error: string }
  /** Somebody watched or exported a recording, or saw a picture of its screen; or, with `search`, looked for words in all that they may see. */
  'session.recording.access': {
    readonly user: string
    readonly sid?: string
    readonly action: 'play' | 'export' | 'text' | 'thumbnail' | 'search'
    readonly search?: string
  } & Addresses
  /** Removed by the retention setting, not by hand. */
  'session.recording.removed': { readonly sid: string; readonly before: string }
  exec: Session & { readonly command: string; readonly exitCode?: string; readonly exitError?: string }
  subsystem: Session & { readonly name: string; readonly exitError?: string }
  /** A file through the legacy scp protocol. */
  scp: Session & FileTransfer & { readonly action: 'download' | 'upload' }
  /** A file that could not be opened. */
  'sftp.open': Session & FileTransfer
  /** A file that was read, told when it is closed. */
  'sftp.read': Session & FileTransfer
  'sftp.write': Session & FileTransfer
  'sftp.setstat': Session & FileChange & { readonly attributes?: Readonly<Record<string, unknown>> }
  'sftp.opendir': Session & FileChange
  'sftp.remove': Session & FileChange
  'sftp.mkdir': Session & FileChange
  'sftp.rmdir': Session & FileChange
  'sftp.rename': Session & FileChange & { readonly target: string }
  'sftp.symlink': Session & FileChange & { readonly target: string }
  'sftp.link': Session & FileChange & { readonly target: string }
  /** `sid` is missing when the session was refused X11 before it began. */
  'x11-forward': Outcome & Omit<Session, 'sid'> & { readonly sid?: string; readonly display?: string }
  /** A refused SSH authentication or login. */
  auth: Addresses &
    Partial<Server> & {
      readonly user: string
      readonly login?: string
      readonly success: false
      readonly error: string
    }
  /** A forwarded connection, or a listener for such. */
  port: Outcome &
    Partial<Server> &
    Addresses & {
      readonly user: string
      readonly login: string
      readonly sid?: string
      /** The target as the client named it; for `remote`, where the node listens. */
      readonly addr: string
      /** `local`: from the node to a target (`-L`, `-D`, `-W`). `remote`: from the node to the client (`-R`). */
      readonly direction?: 'local' | 'remote'
      /** The address that was reached, when the target was a name. */
      readonly resolved?: string
      /** Who connected to the listener of a `remote` forward; absent when the event is about the listener itself. */
      readonly origin?: string
      /** Something an auditor should look at: what happens inside a connection to an SSH server is not recorded. */
      readonly warning?: string
    }
  'cert.create': {
    readonly cert_type: 'user' | 'host'
    readonly user?: string
    readonly identity: Readonly<Record<string, unknown>>
  } & Addresses
  /** A step of the replacement of authorities, taken or refused. `user` is `system` where it came by itself. */
  'ca.rotate': Outcome & {
    readonly user: string
    readonly authorities: readonly string[]
    readonly phase: string
    readonly previous_phase: string
    readonly mode: 'auto' | 'manual'
    readonly grace_period_seconds?: number
    /** Public halves of the new keys, or, at the end, of the keys that are left. */
    readonly keys?: readonly string[]
    /** Machines that had not followed, `<role>/<uuid>`: they must join again. */
    readonly left_behind?: readonly string[]
  }
  'token.create': { readonly user: string; readonly roles: readonly string[]; readonly expires?: string }
  'reset_password_token.create': ResourceChange & { readonly ttl: string }
  'role.created': ResourceChange
  'role.deleted': ResourceChange
  /** Private keys (`cert_authority`), or what proves a user (`user` for all of them), were read for a backup. */
  'secrets.export': ResourceChange
  /** `reset`: back to the defaults. */
  'auth_preference.update': ResourceChange & { readonly reset?: boolean }
  'cluster_networking_config.update': ResourceChange & { readonly reset?: boolean }
  'session_recording_config.update': ResourceChange & { readonly reset?: boolean }
  /** `user` is who did it, `requester` whose request it is. */
  'access_request.create': AccessRequestChange & { readonly reason?: string; readonly expires: string }
  'access_request.update': AccessRequestChange & {
    readonly reason?: string
    readonly annotations?: Readonly<Record<string, readonly string[]>>
  }
  'access_request.review': AccessRequestChange & {
    readonly proposed_state: 'APPROVED' | 'DENIED'
    readonly reason?: string
  }
  'access_request.delete': AccessRequestChange
  /** It, or the wait for an answer, is over. */
  'access_request.expire': AccessRequestChange
  /** `name` is the id; `target` is who is shut out, `until` when by themselves no more. */
  'lock.created': ResourceChange & {
    readonly target: Readonly<Record<string, string>>
    readonly message?: string
    readonly until?: string
  }
  'lock.deleted': ResourceChange
  'client.disconnect': Addresses &
    Partial<Server> & { readonly user: string; readonly login?: string; readonly sid?: string; readonly reason: string }
  /** The oldest events were removed by the retention setting; the chain goes on from `ei_last` with hash `hash_last`. */
  'audit.cut': {
    readonly ei_last: number
    readonly events: number
    readonly before: string
    readonly hash_last: string
  }
}

export type EventName = keyof Fields

const codes = {
  'user.login': { ok: 'T1000I', failed: 'T1000W' },
  // The original has no such event, and all of its codes that begin with T10 for other ones.
  'user.logout': { ok: 'TUL00I' },
  'user.create': { ok: 'T1002I' },
  'user.update': { ok: 'T1003I' },
  'user.delete': { ok: 'T1004I' },
  'user.password_change': { ok: 'T1005I' },
  'mfa.add': { ok: 'T1006I' },
  'mfa.delete': { ok: 'T1007I' },
  'recovery_code.generated': { ok: 'T1008I' },
  'recovery_code.used': { ok: 'T1009I', failed: 'T1009W' },
  'mfa_auth_challenge.validate': { ok: 'T1016I', failed: 'T1016W' },
  'session_mfa.grant': { ok: 'TSM00I' },
  'session.start': { ok: 'T2000I' },
  'session.join': { ok: 'T2001I' },
  resize: { ok: 'T2002I' },
  'session.leave': { ok: 'T2003I' },
  'session.end': { ok: 'T2004I' },
  'session.upload': { ok: 'T2005I' },
  'session.data': { ok: 'T2006I' },
  'session.recording.access': { ok: 'T2012I' },
  'session.recording.failed': { ok: 'T2013W' },
  'session.recording.removed': { ok: 'T2017I' },
  'session.control': { ok: 'T2014I' },
  'host_user.create': { ok: 'TU000I', failed: 'TU000E' },
  'session.detach': { ok: 'T2015I' },
  'session.attach': { ok: 'T2016I' },
  'session.rejected': { ok: 'T1006W' },
  exec: { ok: 'T3002I', failed: 'T3002E' },
  subsystem: { ok: 'T3001I', failed: 'T3001E' },
  scp: { ok: 'T3004I', failed: 'T3004E', upload: { ok: 'T3005I', failed: 'T3005E' } },
  'sftp.open': { ok: 'TS001I', failed: 'TS001E' },
  'sftp.read': { ok: 'TS003I', failed: 'TS003E' },
  'sftp.write': { ok: 'TS004I', failed: 'TS004E' },
  'sftp.setstat': { ok: 'TS007I', failed: 'TS007E' },
  'sftp.opendir': { ok: 'TS009I', failed: 'TS009E' },
  'sftp.remove': { ok: 'TS011I', failed: 'TS011E' },
  'sftp.mkdir': { ok: 'TS012I', failed: 'TS012E' },
  'sftp.rmdir': { ok: 'TS013I', failed: 'TS013E' },
  'sftp.rename': { ok: 'TS016I', failed: 'TS016E' },
  'sftp.symlink': { ok: 'TS018I', failed: 'TS018E' },
  'sftp.link': { ok: 'TS019I', failed: 'TS019E' },
  'x11-forward': { ok: 'T3008I', failed: 'T3008W' },
  auth: { ok: 'T3007W', failed: 'T3007W' },
  port: { ok: 'T3003I', failed: 'T3003E' },
  'cert.create': { ok: 'TC000I' },
  'ca.rotate': { ok: 'TCA00I', failed: 'TCA00W' },
  'token.create': { ok: 'TJT00I' },
  'reset_password_token.create': { ok: 'T6000I' },
  'role.created': { ok: 'T9000I' },
  'role.deleted': { ok: 'T9001I' },
  'secrets.export': { ok: 'TSX00W' },
  'auth_preference.update': { ok: 'TCAUTH001I' },
  'cluster_networking_config.update': { ok: 'TCNET002I' },
  'session_recording_config.update': { ok: 'TCREC003I' },
  'access_request.create': { ok: 'T5000I' },
  'access_request.update': { ok: 'T5001I' },
  'access_request.review': { ok: 'T5002I' },
  'access_request.delete': { ok: 'T5003I' },
  'access_request.expire': { ok: 'T5005I' },
  'lock.created': { ok: 'TLK00I' },
  'lock.deleted': { ok: 'TLK01I' },
  'client.disconnect': { ok: 'T3006I' },
  'audit.cut': { ok: 'TAC00I' },
} as const satisfies Record<EventName, CodePair & { upload?: CodePair }>

interface CodePair {
  readonly ok: string
  readonly failed?: string
}

export const eventNames = Object.keys(codes) as readonly EventName[]

type Codes = typeof codes
type Texts<T> = T extends string ? T : { [Key in keyof T]: Texts<T[Key]> }[keyof T]
export type EventCode<Name extends EventName = EventName> = Texts<Codes[Name]> & string

export type EventOf<Name extends EventName> = { readonly event: Name; readonly code: EventCode<Name> } & Common &
  Fields[Name]
export type AuditEvent = { [Name in EventName]: EventOf<Name> }[EventName]

/** What a caller says; uid, time and code are added. */
export type EventInput<Name extends EventName> = { readonly event: Name; readonly cluster_name: string } & Fields[Name]

/** An event in a store: `ei` grows by one with each event and never repeats, `hash` ties it to the one before (`chain.ts`); `trimmed` names fields that were cut. */
export type StoredEvent = AuditEvent & {
  readonly ei: number
  readonly hash: string
  readonly trimmed?: readonly string[]
}

/**
 * Completes an event with its uid, time and code. The code says failure when `success` is false or `exitError` is set. A `uid` is
 * given for what several processes may tell, so that it is stored once.
 */
export function newEvent<Name extends EventName>(
  // Not as a part of Env: the page knows the events, and nothing of Node.js.
  env: { now(): Date; randomUuid(): string },
  input: EventInput<Name>,
  uid: string = env.randomUuid(),
): EventOf<Name> {
  const failed =
    ('success' in input && input.success === false) || ('exitError' in input && input.exitError !== undefined)
  const event: unknown = {
    ...input,
    uid,
    time: env.now().toISOString(),
    code: codeOf(input.event, failed, 'action' in input && input.action === 'upload'),
  }
  // The compiler cannot follow the code through the table; `codes` is checked where it stands.
  return event as EventOf<Name>
}

/** Only scp has codes of its own for the direction. */
function codeOf(name: EventName, failed: boolean, upload: boolean): string {
  const known: CodePair & { readonly upload?: CodePair } = codes[name]
  const pair = upload ? (known.upload ?? known) : known
  return failed ? (pair.failed ?? pair.ok) : pair.ok
}

/** Does this code belong to this event? */
export function isEventCode(name: string, code: string): name is EventName {
  if (!Object.hasOwn(codes, name)) return false
  const known: CodePair & { readonly upload?: CodePair } = codes[name as EventName]
  return [known.ok, known.failed, known.upload?.ok, known.upload?.failed].includes(code)
}
