/**
 * `forward_to`: which targets connections may be forwarded to (`-L`, `-D`, `-W`). Pure: the node asks twice, with what the client
 * named and with each address that the name stands for.
 *
 * Rules by address hold for addresses, rules by name for what the client asked for by that name. So a rule `db.internal:5432` does
 * not open the address behind it under other names, and a name that somebody points at 127.0.0.1 does not open the node's own services.
 */

import { BlockList, isIP, isIPv4 } from 'node:net'
import { quote } from '../common/text.ts'
import type { Decision, Role } from './types.ts'

/** Lowest and highest port. */
type Ports = readonly [number, number]

export type ForwardRule =
  | { readonly kind: 'any'; readonly ports: Ports }
  /** Of one family; an IPv4 address in its IPv6 form counts as IPv4. */
  | { readonly kind: 'address'; readonly block: BlockList; readonly family: 'ipv4' | 'ipv6'; readonly ports: Ports }
  /** Lower case, without a dot at the end. */
  | { readonly kind: 'name'; readonly name: string; readonly ports: Ports }
  /** Everything below a domain: `*.internal` is `.internal`. */
  | { readonly kind: 'domain'; readonly suffix: string; readonly ports: Ports }
  /** A unix socket; everything below a directory when it ends with `/`. */
  | { readonly kind: 'path'; readonly path: string }

const grammar =
  'write HOST:PORT with a name, *.DOMAIN, an address, a block such as 10.0.0.0/8 or [2001:db8::/32], or * as HOST and a number, 8000-8100 or * as PORT; or the path of a unix socket, /run/app/* for a directory'

/** Throws Error that quotes the rule and says what is allowed. */
export function parseForwardRule(text: string): ForwardRule {
  const bad = (): Error => new Error(`${quote(text)} is not a target; ${grammar}`)
  if (text.length > 300) throw bad()
  if (text.startsWith('/')) return parsePath(text) ?? fail(bad())
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):([^:]+)$/.exec(text)
  const ports = parsePorts(parts?.[3] ?? '')
  const bracketed = parts?.[1]
  const host = bracketed ?? parts?.[2]
  if (host === undefined || ports === undefined) throw bad()
  const block = parseBlock(host)
  // Brackets are for IPv6 and IPv6 is for brackets: everything else would be read in two ways.
  if ((block?.family === 'ipv6') !== (bracketed !== undefined)) throw bad()
  if (block !== undefined) return { kind: 'address', ...block, ports }
  if (host === '*') return { kind: 'any', ports }
  const name = plainName(host.replace(/^\*\./, ''))
  // `10.0.0.*` or `10.1` is a mistake, not a name.
  if (!/^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/.test(name) || /(?:^|\.)[0-9]+$/.test(name)) throw bad()
  return host.startsWith('*.') ? { kind: 'domain', suffix: `.${name}`, ports } : { kind: 'name', name, ports }
}

function fail(error: Error): never {
  throw error
}

function parsePath(text: string): ForwardRule | undefined {
  const path = text.endsWith('/*') ? text.slice(0, -1) : text
  const fine =
    !path.includes('*') && !path.includes('\0') && !path.split('/').some((part) => part === '..' || part === '.')
  return fine ? { kind: 'path', path } : undefined
}

function parsePorts(text: string): Ports | undefined {
  if (text === '*') return [1, 65_535]
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const ports = [Number(first), Number(last ?? first)] as const
  return ports[0] >= 1 && ports[1] <= 65_535 && ports[0] <= ports[1] ? ports : undefined
}

function parseBlock(text: string): { block: BlockList; family: 'ipv4' | 'ipv6' } | undefined {
  const [, address = '', mask] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version === 0) return undefined
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const bits = mask === undefined ? (version === 4 ? 32 : 128) : Number(mask)
  if (bits > (version === 4 ? 32 : 128)) return undefined
  const block = new BlockList()
  block.addSubnet(address, bits, family)
  return { block, family }
}

const plainName = (host: string): string => host.toLowerCase().replace(/\.$/, '')

/** `::ffff:10.0.0.1` is 10.0.0.1; the zone of a link-local address does not count. */
export function plainAddress(address: string): string {
  const bare = address.replace(/%.*$/, '')
  const mapped = new BlockList()
  mapped.addSubnet('::ffff:0:0', 96, 'ipv6')
  if (isIPv4(bare) || !mapped.check(bare, 'ipv6')) return bare
  const dotted = /[0-9.]+\.[0-9]+$/.exec(bare)?.[0]
  if (dotted !== undefined) return dotted
  const groups = bare.split(':').slice(-2)
  const value = (Number.parseInt(groups[0] || '0', 16) << 16) | Number.parseInt(groups[1] || '0', 16)
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
}

/** Where a name inside a domain must not lead by itself: the node's own services, and metadata services on link-local addresses. */
const inward = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
] as const)
  inward.addSubnet(network, bits, 'ipv4')
for (const [network, bits] of [
  ['::', 127],
  ['fe80::', 10],
] as const)
  inward.addSubnet(network, bits, 'ipv6')

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv4(address) ? 'ipv4' : 'ipv6')

export type ForwardTarget =
  /** `host` as the client named it, `address` what the node found for it: the same, when the client named an address. */
  | { readonly host: string; readonly address: string; readonly port: number }
  /** Absolute. */
  | { readonly path: string }

/**
 * The rules of all roles together; undefined when no role has any: then every target is allowed. Once one role names targets, only named
 * ones are: a role that says nothing does not open what another one closed.
 */
export function forwardRules(roles: readonly Role[]): readonly ForwardRule[] | undefined {
  const texts = roles.flatMap(({ spec }) => spec.options.forward_to)
  return texts.length === 0 ? undefined : texts.map(parseForwardRule)
}

export function decideForward(rules: readonly ForwardRule[] | undefined, target: ForwardTarget): Decision {
  if (rules === undefined) return { allow: true, reason: 'no role names targets' }
  if (rules.some((rule) => matches(rule, target))) return { allow: true, reason: 'forward_to of a role names it' }
  return { allow: false, reason: 'your roles allow forwarding to other targets only (forward_to)' }
}

function matches(rule: ForwardRule, target: ForwardTarget): boolean {
  if ('path' in target) return rule.kind === 'path' && matchesPath(rule.path, target.path)
  if (rule.kind === 'path' || !within(rule.ports, target.port)) return false
  const address = plainAddress(target.address)
  const family = familyOf(address)
  switch (rule.kind) {
    case 'any':
      return true
    case 'address':
      return rule.family === family && rule.block.check(address, family)
    case 'name':
      return plainName(target.host) === rule.name
    case 'domain':
      return plainName(target.host).endsWith(rule.suffix) && !inward.check(address, family)
  }
}

const within = ([lowest, highest]: Ports, port: number): boolean => port >= lowest && port <= highest

function matchesPath(rule: string, path: string): boolean {
  if (path.split('/').some((part) => part === '..' || part === '.')) return false
  return rule.endsWith('/') ? path.startsWith(rule) && path.length > rule.length : path === rule
}
