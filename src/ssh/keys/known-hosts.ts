/** known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): reading, matching names, and writing authority lines. */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { BadParameter, KindError } from '../../errors/errors.ts'
import { formatPublicKeyLine, parsePublicKeyLine } from './line.ts'
import { matchPattern } from './pattern.ts'
import type { PublicKey } from './types.ts'

export interface KnownHost {
  readonly marker: 'cert-authority' | 'revoked' | undefined
  /** Patterns as they stand in the file, or one hashed name. */
  readonly hosts: string
  readonly key: PublicKey
  readonly comment: string
  /** Counted from 1. */
  readonly line: number
}

export interface KnownHosts {
  readonly entries: readonly KnownHost[]
  /** Lines that could not be used, say because of an old key type. OpenSSH skips them in silence; a caller may log them. */
  readonly problems: readonly { readonly line: number; readonly reason: string }[]
}

/** Characters. */
const maxFileLength = 16 * 1024 * 1024
const maxHostsLength = 8192
const lineForm = /^(?:@(cert-authority|revoked)[ \t]+)?([^@\s]\S*)[ \t]+(\S.*)$/

/** Reads a whole file. Only a file beyond 16 MiB throws (BadParameter); single bad lines become `problems`. */
export function parseKnownHosts(text: string): KnownHosts {
  if (text.length > maxFileLength) throw new BadParameter('known_hosts', 'the known_hosts file is too large')
  const entries: KnownHost[] = []
  const problems: { line: number; reason: string }[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const content = raw.trim()
    if (content === '' || content.startsWith('#')) continue
    const entry = parseLine(content, index + 1)
    if (typeof entry === 'string') problems.push({ line: index + 1, reason: entry })
    else entries.push(entry)
  }
  return { entries, problems }
}

function parseLine(content: string, line: number): KnownHost | string {
  const [, marker, hosts, rest] = lineForm.exec(content) ?? []
  if (hosts === undefined || rest === undefined) return 'not a known_hosts line'
  if (hosts.length > maxHostsLength) return 'too many host names'
  try {
    const { key, comment } = parsePublicKeyLine(rest)
    return {
      marker: marker === 'cert-authority' || marker === 'revoked' ? marker : undefined,
      hosts,
      key,
      comment,
      line,
    }
  } catch (error) {
    if (error instanceof KindError) return error.message
    throw error
  }
}

/** The name under which OpenSSH looks a host up: lower case, and `[host]:port` unless the port is 22. */
export const lookupName = (host: string, port: number): string =>
  port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`

/** Does the entry speak of this name? `name` comes from `lookupName`. A matching `!pattern` excludes whatever else matches. */
export function matchesHost(entry: KnownHost, name: string): boolean {
  if (entry.hosts.startsWith('|')) return matchesHash(entry.hosts, name)
  let found = false
  for (const item of entry.hosts.toLowerCase().split(',')) {
    if (item.startsWith('!')) {
      if (matchPattern(item.slice(1), name)) return false
    } else if (matchPattern(item, name)) {
      found = true
    }
  }
  return found
}

/** `|1|salt|hash`. HMAC-SHA1 is the file format; it hides names and protects nothing else. */
function matchesHash(hosts: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([A-Za-z0-9+/]+=*)\|([A-Za-z0-9+/]+=*)$/.exec(hosts) ?? []
  if (salt === undefined || hash === undefined) return false
  const wanted = Buffer.from(hash, 'base64')
  const actual = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest()
  return wanted.length === actual.length && timingSafeEqual(wanted, actual)
}

/** `@cert-authority *.example.com,example.com ssh-ed25519 … comment`, without a line end. Throws BadParameter. */
export function formatCertAuthorityLine(patterns: readonly string[], authority: PublicKey, comment = ''): string {
  if (patterns.length === 0) throw new BadParameter('patterns', 'at least one host pattern is needed')
  for (const pattern of patterns) {
    if (!/^!?[^\s,@#|!]+$/.test(pattern))
      throw new BadParameter('patterns', `${JSON.stringify(pattern)} is not a host pattern`)
  }
  return `@cert-authority ${patterns.join(',')} ${formatPublicKeyLine(authority, comment)}`
}
