/**
 * One short sentence about an event, for people: who did what where, and why it failed. Everything else of the event is for those
 * who ask for it. An event of a newer release, or with fields cut away, still gets words.
 */

import { formatBytes } from '../common/bytes.ts'
import type { EventName } from './events.ts'

/** An event as it comes from a store or over the API. */
export type EventFields = Readonly<Record<string, unknown>>

type Sentence = (event: EventFields) => string

const purpose = (event: EventFields): string => text(event.purpose).replaceAll('_', ' ')

const sentences: Readonly<Record<EventName, Sentence>> = {
  'user.login': (event) => outcome(event, `logged in (${text(event.method) || 'local'})`, 'failed to log in'),
  'user.logout': (event) => (event.everywhere === true ? 'logged out of all browsers' : 'logged out of a browser'),
  'user.create': (event) => `created user ${text(event.name)}${withRoles(event)}`,
  'user.update': (event) => `changed user ${text(event.name)}${withRoles(event)}`,
  'user.delete': (event) => `removed user ${text(event.name)}`,
  'user.password_change': () => 'has a new password',
  'mfa.add': (event) => `added the second factor ${text(event.mfa_device_name)} (${text(event.mfa_device_type)})`,
  'mfa.delete': (event) =>
    `removed the second factor ${text(event.mfa_device_name)} (${text(event.mfa_device_type)})${event.name === undefined ? '' : ` of user ${text(event.name)}`}`,
  'recovery_code.generated': () => 'has new recovery codes',
  'recovery_code.used': (event) =>
    outcome(event, `used a recovery code, ${text(event.recovery_codes_left)} left`, 'failed to use a recovery code'),
  'mfa_auth_challenge.validate': (event) =>
    outcome(
      event,
      `proved a second factor for ${purpose(event)}`,
      `failed to prove a second factor for ${purpose(event)}`,
    ),
  'session_mfa.grant': (event) =>
    `may open sessions on ${list(event.hosts)} without further proof until ${text(event.expires)}`,
  'session.start': (event) => {
    if (event.interactive !== true) return `began a session as ${place(event)}`
    return `opened a terminal as ${place(event)}${list(event.initial_command) === '' ? '' : `: ${list(event.initial_command)}`}`
  },
  'session.join': (event) => `joined the session on ${host(event)} as ${text(event.mode)}`,
  'session.leave': (event) => `left the session on ${host(event)}${because(event.reason)}`,
  resize: (event) => `resized the terminal on ${host(event)} to ${text(event.size).replace(':', ' × ')}`,
  'session.end': (event) => `ended the session as ${place(event)}${lasting(event)}${because(event.reason)}`,
  'session.upload': (event) => {
    const cut = event.interrupted === true ? ', interrupted' : ''
    return `had a session recorded: ${bytes(event.size)}${cut}`
  },
  'session.data': (event) => `sent ${bytes(event.rx)} to ${host(event)}, received ${bytes(event.tx)}`,
  'host_user.create': (event) => outcome(event, `got the account ${place(event)}`, `got no account ${place(event)}`),
  'session.control': (event) => `${pastTense(text(event.action))} the session on ${host(event)}`,
  'session.detach': (event) => `lost the connection to ${host(event)}; the session waits until ${text(event.until)}`,
  'session.attach': (event) => `came back to the session on ${host(event)}`,
  'session.rejected': (event) => `was refused a session as ${place(event)}${because(event.reason)}`,
  'session.recording.failed': (event) => `recording failed on ${host(event)}${because(event.error)}`,
  'session.recording.access': (event) => {
    if (text(event.search) !== '') return `searched recordings for ${text(event.search)}`
    if (event.action === 'thumbnail') return 'saw a picture of a recording'
    return event.action === 'play' ? 'watched a recording' : 'exported a recording'
  },
  'session.recording.removed': (event) => `recording older than ${text(event.before)} removed by the retention setting`,
  exec: (event) => {
    const code = text(event.exitCode)
    const end = text(event.exitError) || (code === '' || code === '0' ? '' : `exit ${code}`)
    return `ran on ${place(event)}: ${text(event.command)}${end === '' ? '' : ` (${end})`}`
  },
  subsystem: (event) =>
    outcome(event, `used ${text(event.name)} on ${place(event)}`, `failed to use ${text(event.name)}`),
  scp: (event) => file(event, event.action === 'upload' ? 'wrote' : 'read'),
  'sftp.open': (event) => file(event, 'opened'),
  'sftp.read': (event) => file(event, 'read'),
  'sftp.write': (event) => file(event, 'wrote'),
  'sftp.setstat': (event) => file(event, 'changed attributes of'),
  'sftp.opendir': (event) => file(event, 'listed'),
  'sftp.remove': (event) => file(event, 'removed'),
  'sftp.mkdir': (event) => file(event, 'made directory'),
  'sftp.rmdir': (event) => file(event, 'removed directory'),
  'sftp.rename': (event) => file(event, 'renamed'),
  'sftp.symlink': (event) => file(event, 'made symbolic link'),
  'sftp.link': (event) => file(event, 'made hard link'),
  'x11-forward': (event) =>
    outcome(event, `shows X11 programs of ${host(event)}`, `was refused X11 forwarding on ${host(event)}`),
  auth: (event) => `was refused${text(event.login) === '' ? '' : ` as ${place(event)}`}${because(event.error)}`,
  port: (event) => {
    const way = event.direction === 'remote' ? 'forwarded a port of' : 'connected through'
    const what = `${way} ${host(event)}, ${text(event.addr)}${text(event.warning) === '' ? '' : `; ${text(event.warning)}`}`
    return outcome(event, what, `was refused a forward on ${host(event)}, ${text(event.addr)}`)
  },
  'cert.create': (event) => {
    const { key_id, expires, principals, access_requests } = fieldsOf(event.identity)
    const names = list(principals)
    const until = `until ${text(expires)}`
    if (event.cert_type !== 'user')
      return `issued a ${text(event.cert_type)} certificate for ${text(key_id)}${names === '' ? '' : ` (${names})`} ${until}`
    const asked = list(access_requests)
    // Without a login it has a principal that nobody is.
    const logins = names.startsWith('-teleport-nologin-') ? 'no login' : names
    return `got a certificate for ${logins} ${until}${asked === '' ? '' : `, with roles of the request ${asked}`}`
  },
  'ca.rotate': (event) => {
    const { authorities, previous_phase, phase, left_behind } = event
    const left = list(left_behind) === '' ? '' : `; left behind: ${list(left_behind)}`
    const what = `${list(authorities)} authority from ${text(previous_phase)} to ${text(phase)}`
    return event.success === false ? `did not rotate the ${what}: ${text(event.error)}` : `rotated the ${what}${left}`
  },
  'token.create': (event) => `made a join token for ${list(event.roles)}`,
  'reset_password_token.create': (event) =>
    `made a sign-up link for user ${text(event.name)}, good for ${text(event.ttl)}`,
  'role.created': (event) => `wrote role ${text(event.name)}`,
  'role.deleted': (event) => `removed role ${text(event.name)}`,
  'secrets.export': (event) => `read the secrets of ${text(event.name)} for a backup`,
  'auth_preference.update': settingsChange,
  'cluster_networking_config.update': settingsChange,
  'session_recording_config.update': settingsChange,
  'access_request.create': (event) => `asked for the roles ${list(event.roles)}${because(event.reason)}`,
  'access_request.update': (event) =>
    `${text(event.state).toLowerCase()} the request of ${text(event.requester)} for ${list(event.roles)}${because(event.reason)}`,
  'access_request.review': (event) =>
    `reviewed the request of ${text(event.requester)} for ${list(event.roles)}: ${text(event.proposed_state).toLowerCase()}${because(event.reason)}`,
  'access_request.delete': (event) => `removed the request of ${text(event.requester)} for ${list(event.roles)}`,
  'access_request.expire': (event) => `the request of ${text(event.requester)} for ${list(event.roles)} is over`,
  'lock.created': (event) => {
    const target = Object.entries(fieldsOf(event.target)).map(([field, value]) => `${field} ${text(value)}`)
    return `locked ${target.join(' with ')}${text(event.until) === '' ? '' : ` until ${text(event.until)}`}${because(event.message)}`
  },
  'lock.deleted': (event) => `lifted the lock ${text(event.name)}`,
  'client.disconnect': (event) => `was disconnected from ${host(event) || 'the cluster'}${because(event.reason)}`,
  'audit.cut': (event) => `${text(event.events)} events before ${text(event.before)} removed by the retention setting`,
}

function settingsChange(event: EventFields): string {
  return event.reset === true ? `reset ${text(event.name)} to the defaults` : `changed ${text(event.name)}`
}

/** Never empty, one line's worth of words; what is in it came from outside, so strip control characters before printing. */
export function describeEvent(event: EventFields): string {
  const name = text(event.event)
  const known = Object.hasOwn(sentences, name) ? sentences[name as EventName] : undefined
  return known?.(event).replaceAll(/\s+/g, ' ').trim() || detailsOf(event) || name
}

const elsewhere: ReadonlySet<string> = new Set(
  ['event', 'code', 'time', 'uid', 'user', 'ei', 'hash'].concat('cluster_name'),
)

/** All fields that a listing has no column for, as `name=value`. */
export function detailsOf(event: EventFields): string {
  return Object.entries(event)
    .filter(([key, value]) => !elsewhere.has(key) && value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(' ')
}

const text = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
const list = (value: unknown): string => (Array.isArray(value) ? value.map(text).join(' ') : '')
const bytes = (value: unknown): string => formatBytes(typeof value === 'number' ? value : 0)
const because = (reason: unknown): string => (text(reason) === '' ? '' : `: ${text(reason)}`)
const host = (event: EventFields): string => text(event.server_hostname)
const fieldsOf = (value: unknown): EventFields => (typeof value === 'object' && value !== null ? { ...value } : {})

function place(event: EventFields): string {
  const login = text(event.login)
  return host(event) === '' ? login : `${login}@${host(event)}`
}

function withRoles(event: EventFields): string {
  return list(event.roles) === '' ? '' : ` with ${list(event.roles).replaceAll(' ', ', ')}`
}

function outcome(event: EventFields, done: string, failed: string): string {
  const problem = text(event.error) || text(event.exitError)
  return event.success === false || problem !== '' ? `${failed}${because(problem)}` : done
}

function file(event: EventFields, verb: string): string {
  const to = text(event.target) === '' ? '' : ` to ${text(event.target)}`
  const size = typeof event.size === 'number' ? `, ${bytes(event.size)}` : ''
  const what = `${text(event.path)}${to} on ${place(event)}`
  return outcome(event, `${verb} ${what}${size}`, `could not finish: ${verb} ${what}`)
}

function lasting(event: EventFields): string {
  const ms = Date.parse(text(event.session_stop)) - Date.parse(text(event.session_start))
  if (!(ms >= 0)) return ''
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return ` after ${seconds}s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? ` after ${minutes}m${seconds % 60}s` : ` after ${Math.floor(minutes / 60)}h${minutes % 60}m`
}

const pastTense = (action: string): string => (action === 'end' ? 'ended' : action.replace(/e?$/, 'ed'))
