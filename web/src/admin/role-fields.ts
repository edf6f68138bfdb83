/** The common fields of a role out of its YAML and back into it: what the form does not know, and comments, stay as they are. */

import { entriesOf, fieldOf, parseText, setField, textOf, texts } from './text-fields.ts'

export interface RoleFields {
  readonly logins: readonly string[]
  /** `key=value`, a value for each. */
  readonly labels: readonly string[]
  /** `resource,resource:verb,verb`. Undefined: there are conditions, which the form cannot show. */
  readonly rules: readonly string[] | undefined
  readonly sessionTtl: string
  readonly forwardAgent: boolean
  readonly portForwarding: boolean
  readonly fileCopy: boolean
  readonly sessionMfa: boolean
}

/** Undefined for what cannot be read; the checks of the text say why. */
export function fieldsOf(text: string): RoleFields | undefined {
  const document = parseText(text)
  if (document === undefined) return undefined
  const get = (...path: string[]): unknown => fieldOf(document, ...path)
  const rules = get('allow', 'rules')
  return {
    logins: texts(get('allow', 'logins')),
    labels: labelWords(get('allow', 'node_labels')),
    rules: ruleWords(rules),
    sessionTtl: String(get('options', 'max_session_ttl') ?? ''),
    forwardAgent: isYes(get('options', 'forward_agent'), false),
    portForwarding: isYes(get('options', 'port_forwarding'), true),
    fileCopy: isYes(get('options', 'ssh_file_copy'), true),
    sessionMfa: isYes(get('options', 'require_session_mfa'), false),
  }
}

/** The text with the fields that are given. */
export function withFields(text: string, change: Partial<RoleFields>): string {
  const document = parseText(text)
  if (document === undefined) return text
  const set = (path: readonly string[], value: unknown) => setField(document, path, value)
  if (change.logins !== undefined) set(['allow', 'logins'], [...change.logins])
  if (change.labels !== undefined) set(['allow', 'node_labels'], labelsFrom(change.labels))
  if (change.rules !== undefined) set(['allow', 'rules'], change.rules.map(ruleFrom))
  if (change.sessionTtl !== undefined && change.sessionTtl !== '')
    set(['options', 'max_session_ttl'], change.sessionTtl)
  const options = {
    forward_agent: change.forwardAgent,
    port_forwarding: change.portForwarding,
    ssh_file_copy: change.fileCopy,
    require_session_mfa: change.sessionMfa,
  }
  for (const [name, value] of Object.entries(options)) if (value !== undefined) set(['options', name], value)
  return textOf(document)
}

const isYes = (value: unknown, otherwise: boolean): boolean =>
  value === undefined || value === null ? otherwise : value === true || /^(y|yes|on|true)$/i.test(String(value))

const labelWords = (value: unknown): string[] =>
  entriesOf(value).flatMap(([key, values]) => texts(values).map((each) => `${key}=${each}`))

function labelsFrom(words: readonly string[]): Map<string, string[]> {
  const labels = new Map<string, string[]>()
  for (const word of words) {
    const at = word.indexOf('=')
    const [key, value] = at === -1 ? [word, '*'] : [word.slice(0, at), word.slice(at + 1)]
    labels.set(key, [...(labels.get(key) ?? []), value])
  }
  return labels
}

function ruleWords(value: unknown): string[] | undefined {
  const rules = Array.isArray(value) ? value.map(entriesOf) : []
  if (rules.some((rule) => rule.some(([key]) => key !== 'resources' && key !== 'verbs'))) return undefined
  return rules.map((rule) => {
    const { resources, verbs } = Object.fromEntries(rule)
    return `${texts(resources).join(',')}:${texts(verbs).join(',')}`
  })
}

function ruleFrom(word: string): { resources: string[]; verbs: string[] } {
  const [resources = '', verbs = ''] = word.split(':')
  const list = (text: string) =>
    text
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '')
  return { resources: list(resources), verbs: list(verbs) }
}
