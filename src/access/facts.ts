/**
 * What a condition of a rule can ask about: the person, and the resource. The names are those of the original, which are the names
 * in the resources' own YAML.
 */

import type { Facts, FactValue, Vocabulary } from './predicate/types.ts'
import type { Labels, Role, Traits } from './types.ts'

/** Who asks. */
export interface RuleSubject {
  readonly user: string
  readonly roles: readonly Role[]
  readonly traits: Traits
}

/** About a resource, or a recording of a session. What is left out is empty. */
export interface ResourceFacts {
  readonly name: string
  readonly labels?: Labels
  readonly description?: string
  readonly subKind?: string
  /** Of users, and of what asks for roles. */
  readonly roles?: readonly string[]
  /** Of users. */
  readonly traits?: Traits
  /** Of nodes. */
  readonly hostname?: string
  readonly address?: string
  /** Of authorities: `user` or `host`. */
  readonly authority?: string
  readonly session?: SessionFacts
}

export interface SessionFacts {
  readonly user: string
  readonly login: string
  readonly participants: readonly string[]
  readonly serverId: string
  readonly serverHostname: string
  readonly serverLabels?: Labels
}

/** Only its name is known: it does not exist, or was not read. */
export interface NamedResource {
  readonly name: string
  readonly unread: true
}

export const ruleVocabulary = {
  'user.metadata.name': 'text',
  'user.spec.roles': 'texts',
  'user.spec.traits': 'map of texts',
  'resource.kind': 'text',
  'resource.sub_kind': 'text',
  'resource.metadata.name': 'text',
  'resource.metadata.description': 'text',
  'resource.metadata.labels': 'map of text',
  'resource.spec.roles': 'texts',
  'resource.spec.traits': 'map of texts',
  'resource.spec.hostname': 'text',
  'resource.spec.addr': 'text',
  'session.sid': 'text',
  'session.user': 'text',
  'session.login': 'text',
  'session.participants': 'texts',
  'session.server_id': 'text',
  'session.server_hostname': 'text',
  'session.server_labels': 'map of text',
  'system.catype()': 'text',
} as const satisfies Vocabulary

type Path = keyof typeof ruleVocabulary

/** Without a resource everything about it is unknown. */
export function ruleFacts(
  subject: RuleSubject,
  kind: string,
  resource: ResourceFacts | NamedResource | undefined,
): Facts {
  return (path) => readFact(path as Path, subject, kind, resource)
}

function readFact(
  path: Path,
  { user, roles, traits }: RuleSubject,
  kind: string,
  resource: ResourceFacts | NamedResource | undefined,
): FactValue | undefined {
  switch (path) {
    case 'user.metadata.name':
      return user
    case 'user.spec.roles':
      return roles.map(({ metadata }) => metadata.name)
    case 'user.spec.traits':
      return traits
    case 'resource.kind':
      return kind
    case 'resource.metadata.name':
      return resource?.name
    case 'session.sid':
      return kind === 'session' ? resource?.name : ''
    default:
      return resource === undefined || 'unread' in resource ? undefined : readResource(path, resource)
  }
}

function readResource(path: Path, resource: ResourceFacts): FactValue | undefined {
  switch (path) {
    case 'resource.sub_kind':
      return resource.subKind ?? ''
    case 'resource.metadata.description':
      return resource.description ?? ''
    case 'resource.metadata.labels':
      return resource.labels ?? {}
    case 'resource.spec.roles':
      return resource.roles ?? []
    case 'resource.spec.traits':
      return resource.traits ?? {}
    case 'resource.spec.hostname':
      return resource.hostname ?? ''
    case 'resource.spec.addr':
      return resource.address ?? ''
    case 'session.user':
      return resource.session?.user ?? ''
    case 'session.login':
      return resource.session?.login ?? ''
    case 'session.participants':
      return resource.session?.participants ?? []
    case 'session.server_id':
      return resource.session?.serverId ?? ''
    case 'session.server_hostname':
      return resource.session?.serverHostname ?? ''
    case 'session.server_labels':
      return resource.session?.serverLabels ?? {}
    case 'system.catype()':
      return resource.authority ?? ''
    default:
      return undefined
  }
}
