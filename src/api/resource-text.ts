/**
 * Roles, users and settings of the cluster as YAML text, for the editor of the page: the same documents that `tctl get` prints and
 * `tctl create` takes, checked by the same schemas. Needs no Node.js.
 */

import { stringify } from 'yaml'
import { parseRole, parseUser, roleToResource } from '../access/schema.ts'
import { quote } from '../common/text.ts'
import { readYaml, type YamlDocument } from '../common/yaml.ts'
import { BadParameter } from '../errors/errors.ts'
import { parseSettings, type Settings, type SettingsKind, settingsName, settingsResource } from './cluster-settings.ts'
import { type RoleRecord, roleRecord, type UserRecord } from './model.ts'

export type TextKind = 'role' | 'user' | SettingsKind

export interface ResourceText {
  readonly name: string
  /** Of what it was made from. */
  readonly revision: string | undefined
  readonly text: string
}

export function roleText({ kind, version, metadata, spec }: RoleRecord): ResourceText {
  const { revision, ...others } = metadata
  return { name: metadata.name, revision, text: stringify({ kind, version, metadata: others, spec }) }
}

export function userText({ name, roles, traits, revision }: UserRecord): ResourceText {
  const value = { kind: 'user', version: 'v2', metadata: { name }, spec: { roles, traits } }
  return { name, revision, text: stringify(value) }
}

export function settingsText<Kind extends SettingsKind>(kind: Kind, settings: Settings<Kind>): ResourceText {
  const { metadata, ...value } = settingsResource(kind, settings)
  const { kind: _, version, spec } = value
  return {
    name: metadata.name,
    revision: settings.revision,
    text: stringify({ kind, version, metadata: { name: metadata.name }, spec }),
  }
}

/** What was read from a text, ready to be sent. */
export type ReadResource =
  | { readonly kind: 'role'; readonly name: string; readonly role: RoleRecord }
  | {
      readonly kind: 'user'
      readonly name: string
      readonly roles: string[]
      readonly traits: Record<string, string[]>
    }
  | {
      [Kind in SettingsKind]: {
        readonly kind: Kind
        readonly name: string
        readonly spec: ReturnType<typeof parseSettings<Kind>>
      }
    }[SettingsKind]

/** Throws BadParameter with every problem as `line: key: what`, one a line. */
export function readResourceText(text: string, kind: TextKind): ReadResource {
  try {
    const [document, ...others] = readYaml(text, file)
    if (document === undefined) throw new BadParameter('text', 'there is no resource in it')
    if (others.length > 0) throw new BadParameter('text', 'there must be one resource in it')
    return readDocument(document, kind)
  } catch (error) {
    if (error instanceof BadParameter) throw new BadParameter(error.param, error.message.replaceAll(`${file}:`, ''))
    throw error
  }
}

/** Stands before each line of a message, and is taken away again. */
const file = 'resource'

function readDocument(document: YamlDocument, kind: TextKind): ReadResource {
  const { value } = document
  const found = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
  if (found !== kind) {
    const line = document.lineOf(['kind'])
    throw new BadParameter('kind', `${line}: kind: must be ${kind}, not ${quote(String(found ?? 'nothing'))}`)
  }
  switch (kind) {
    case 'role': {
      const role = roleRecord.parse(roleToResource(parseRole(document)))
      return { kind, name: role.metadata.name, role }
    }
    case 'user': {
      const { metadata, spec } = parseUser(document)
      for (const key of ['labels', 'expires', 'description'] as const) {
        if (metadata[key] === undefined) continue
        const line = document.lineOf(['metadata', key])
        throw new BadParameter(key, `${line}: metadata.${key}: users have none in this version`)
      }
      const traits = Object.fromEntries(Object.entries(spec.traits).map(([name, values]) => [name, [...values]]))
      if (spec.local_auth !== undefined) {
        const line = document.lineOf(['spec', 'local_auth'])
        throw new BadParameter('local_auth', `${line}: spec.local_auth: belongs to backups; tctl create reads it`)
      }
      return { kind, name: metadata.name, roles: [...spec.roles], traits }
    }
    case 'cluster_auth_preference':
      return { kind, name: settingsName(kind), spec: parseSettings(kind, document) }
    case 'cluster_networking_config':
      return { kind, name: settingsName(kind), spec: parseSettings(kind, document) }
    case 'session_recording_config':
      return { kind, name: settingsName(kind), spec: parseSettings(kind, document) }
  }
}
