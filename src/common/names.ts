/**
 * Which names exist. Strict and case-exact, since names end up in certificates, paths of stores, terminal output and
 * command lines: no control characters, nothing that starts like an option, no look-alikes of a path.
 */

import { BadParameter } from '../errors/errors.ts'
import { quote } from './text.ts'

interface Rule {
  readonly pattern: RegExp
  readonly max: number
  /** Completes "must be …". */
  readonly form: string
}

const HOST_LABEL = '[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?'

const rules = {
  'cluster name': {
    pattern: new RegExp(`^${HOST_LABEL}(?:\\.${HOST_LABEL})*$`),
    max: 128,
    form: 'letters, digits, "-", "_" and "." as in a host name',
  },
  'node name': {
    pattern: new RegExp(`^${HOST_LABEL}(?:\\.${HOST_LABEL})*$`),
    max: 253,
    form: 'letters, digits, "-", "_" and "." as in a host name',
  },
  'user name': {
    pattern: /^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$/,
    max: 128,
    form: 'letters, digits, "_", ".", "@", "+" and "-", starting with a letter, digit or "_"',
  },
  login: {
    pattern: /^[A-Za-z_][A-Za-z0-9_.-]*\$?$/,
    max: 64,
    form: 'the name of an OS account: letters, digits, "_", "." and "-", starting with a letter or "_"',
  },
  'role name': {
    pattern: /^[A-Za-z0-9_][A-Za-z0-9_.:@+-]*$/,
    max: 128,
    form: 'letters, digits, "_", ".", ":", "@", "+" and "-", starting with a letter, digit or "_"',
  },
  'label name': {
    pattern: /^[A-Za-z0-9_][A-Za-z0-9_./:@+-]*$/,
    max: 128,
    form: 'letters, digits, "_", ".", "/", ":", "@", "+" and "-", starting with a letter, digit or "_"',
  },
  'label value': {
    pattern: /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/u,
    max: 1024,
    form: 'text on one line without control characters',
  },
} as const satisfies Record<string, Rule>

export type NameKind = keyof typeof rules

/** What is wrong with the name, or undefined. `max` counts UTF-16 units. */
export function nameProblem(kind: NameKind, name: string): string | undefined {
  const { pattern, max, form } = rules[kind]
  if (name === '' && kind !== 'label value') return `the ${kind} is empty`
  if (name.length > max) return `the ${kind} ${quote(name)} is longer than ${max} characters`
  if (!name.isWellFormed() || !pattern.test(name)) return `the ${kind} ${quote(name)} must be ${form}`
  return undefined
}

/** Returns the name. Throws BadParameter that quotes it and says what is allowed. */
export function checkName(kind: NameKind, name: string): string {
  const problem = nameProblem(kind, name)
  if (problem !== undefined) throw new BadParameter(kind, problem)
  return name
}

export const isLogin = (name: string): boolean => nameProblem('login', name) === undefined

/** UUIDs of nodes, sessions and events: lower case with dashes, nothing else. */
export const isUuid = (text: string): boolean => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
