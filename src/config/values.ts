/** The small formats inside teleport.yaml and on the command line. */

import type { Severity } from '../common/logger.ts'
import { checkName } from '../common/names.ts'
import { nearest, quote } from '../common/text.ts'
import { BadParameter } from '../errors/errors.ts'
import type { SecondFactor, ServiceRole } from './types.ts'

const ROLES: readonly ServiceRole[] = ['auth', 'proxy', 'node']
const OTHER_ROLES: readonly string[] = ['app', 'db', 'kube', 'windowsdesktop', 'discovery', 'okta']

/** `auth,proxy,node`, in any order, each once. Throws BadParameter. */
export function parseRoles(text: string): readonly ServiceRole[] {
  const roles = text.split(',').map((part) => parseRole(part.trim().toLowerCase()))
  return [...new Set(roles)]
}

function parseRole(word: string): ServiceRole {
  const role = ROLES.find((candidate) => candidate === word)
  if (role !== undefined) return role
  if (OTHER_ROLES.includes(word))
    throw new BadParameter('roles', `the role ${quote(word)} belongs to a protocol other than SSH`)
  const near = nearest(word, ROLES)
  const hint = near === undefined ? '' : ` (did you mean '${near}'?)`
  throw new BadParameter('roles', `unknown role ${quote(word)}; the roles are ${ROLES.join(', ')}${hint}`)
}

/** The name of an account of the operating system. A number would be read as a user id by other programs. Throws BadParameter. */
export function parseAccountName(name: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,126}\$?$/.test(name) || /^[0-9]+$/.test(name))
    throw new BadParameter('user', `${quote(name)} cannot be the name of an account`)
  return name
}

const UNITS: Readonly<Record<string, number>> = { '': 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3, tib: 1024 ** 4 }

/** Bytes, as in `256MiB` or `1 GiB`; also `256M`, which is the same. Throws BadParameter. */
export function parseSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9}) *([a-z]{0,3})$/.exec(text.trim().toLowerCase()) ?? []
  const factor = UNITS[/^[kmgt]$/.test(unit) ? `${unit}ib` : unit]
  if (digits !== '' && factor !== undefined) return Number(digits) * factor
  throw new BadParameter('size', `${quote(text)} is not a size; it is written as 256MiB or 1GiB`)
}

export interface RawToken {
  readonly roles: readonly ServiceRole[]
  /** The secret, or the absolute path of a file that holds it. */
  readonly secret: string
}

/** `node,proxy:SECRET`. The secret never appears in the message. Throws BadParameter. */
export function parseToken(text: string): RawToken {
  const colon = text.indexOf(':')
  const secret = text.slice(colon + 1)
  if (colon < 1 || secret === '')
    throw new BadParameter('tokens', 'a static token is written as ROLES:SECRET, for example "node,proxy:…"')
  return { roles: parseRoles(text.slice(0, colon)), secret: checkSecret(secret) }
}

/** Join tokens travel in headers and files: visible ASCII, bounded. Throws BadParameter without the secret. */
export function checkSecret(secret: string): string {
  if (!/^[\x21-\x7e]{1,512}$/.test(secret)) {
    throw new BadParameter('token', 'the token must have 1 to 512 visible ASCII characters and no spaces')
  }
  return secret
}

/** `sha256:` and 64 hex digits, in lower case. Throws BadParameter. */
export function parseCaPin(text: string): string {
  const pin = text.trim().toLowerCase()
  if (!/^sha256:[0-9a-f]{64}$/.test(pin))
    throw new BadParameter(
      'ca_pin',
      `the CA pin ${quote(text)} is not sha256: with 64 hex digits, as 'tctl status' prints it`,
    )
  return pin
}

/** `off` and `on` come as booleans from some YAML writers. Throws BadParameter. */
export function parseSecondFactor(value: unknown): SecondFactor | 'u2f' {
  if (value === false) return 'off'
  if (value === true) return 'on'
  switch (value) {
    case 'off':
    case 'otp':
    case 'webauthn':
    case 'u2f':
    case 'on':
    case 'optional':
      return value
    default:
      throw new BadParameter(
        'second_factor',
        `must be one of off, otp, webauthn, on, optional, not ${quote(String(value))}`,
      )
  }
}

/** The name that security keys are bound to: a host name, no address and no URL. Throws BadParameter. */
export function parseRpId(text: string): string {
  const id = text.toLowerCase()
  const isName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/.test(id)
  if (isName && !/^[0-9.]+$/.test(id)) return id
  throw new BadParameter('rp_id', `${quote(text)} is not a host name, as in the address that browsers open`)
}

/** Of U2F, where it named a page: its host is what keys are bound to now. Throws BadParameter. */
export function parseAppId(text: string): string {
  let host: string
  try {
    host = new URL(text).hostname
  } catch {
    throw new BadParameter('app_id', `${quote(text)} is not a URL such as https://proxy.example.com:3080`)
  }
  return parseRpId(host)
}

/** Upper or lower case, with the original's spellings. Throws BadParameter. */
export function parseSeverity(text: string): Severity {
  switch (text.toLowerCase()) {
    case 'debug':
    case 'trace':
      return 'debug'
    case 'info':
      return 'info'
    case 'warn':
    case 'warning':
      return 'warn'
    case 'err':
    case 'error':
    case 'panic':
    case 'fatal':
      return 'error'
    default:
      throw new BadParameter('severity', `must be one of DEBUG, INFO, WARN, ERROR, not ${quote(text)}`)
  }
}

/** `k=v,k2="v, with comma"`. Throws BadParameter. */
export function parseLabels(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = Object.create(null)
  let rest = text.trim()
  while (rest !== '') {
    const match = /^\s*([^=,\s]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^,"']*))\s*(?:,|$)/.exec(rest)
    if (match === null)
      throw new BadParameter('labels', `the labels ${quote(text)} must be written as key=value,key2="another value"`)
    const [whole, name = '', double, single, plain] = match
    if (Object.hasOwn(labels, name)) throw new BadParameter('labels', `the label ${quote(name)} is given twice`)
    labels[checkName('label name', name)] = checkName('label value', (double ?? single ?? plain ?? '').trim())
    rest = rest.slice(whole.length)
  }
  return labels
}
