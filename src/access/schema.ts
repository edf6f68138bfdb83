/** Resources from YAML and JSON: `kind: role` and `kind: user`, checked once, completed with the defaults of their version. */

import { z } from 'zod'
import { formatDuration, parseDuration } from '../common/durations.ts'
import { nameProblem } from '../common/names.ts'
import {
  oneOf,
  parsedBy,
  parseYamlValue,
  show,
  strictObject,
  type YamlDocument,
  yamlBool,
  yamlString,
  yamlStrings,
} from '../common/yaml.ts'
import { MAX_SESSION_TTL_SECONDS } from './decide.ts'
import { parseForwardRule } from './forward-rules.ts'
import { compileSelectorValue } from './labels.ts'
import { parseTemplate } from './traits.ts'
import type {
  AllowConditions,
  LabelSelector,
  Metadata,
  Role,
  RoleConditions,
  RoleOptions,
  Traits,
  User,
} from './types.ts'

const MAX_SESSION_TTL_MS = MAX_SESSION_TTL_SECONDS * 1000
const VERBS = ['*', 'create', 'read', 'readnosecrets', 'list', 'update', 'delete', 'rotate'] as const
const LATER = 'not available in this version'
const OTHER_PROTOCOL = 'belongs to another protocol than SSH; remove it'

const otherProtocols = Object.fromEntries(
  [
    'app_labels',
    'aws_role_arns',
    'cluster_labels',
    'database_labels',
    'database_names',
    'database_users',
    'db_labels',
    'db_names',
    'db_users',
  ]
    .concat([
      'kubernetes_groups',
      'kubernetes_labels',
      'kubernetes_users',
      'windows_desktop_labels',
      'windows_desktop_logins',
    ])
    .map((key) => [key, OTHER_PROTOCOL]),
)

/** A record without prototype: `__proto__` is a name like any other. */
function record<Value>(
  what: string,
  read: (key: string, value: unknown, problem: (message: string) => void) => Value | undefined,
) {
  return z.unknown().transform((input, context): Readonly<Record<string, Value>> => {
    const result: Record<string, Value> = Object.create(null)
    if (input === null || input === undefined) return result
    if (typeof input !== 'object' || Array.isArray(input)) {
      context.addIssue({ code: 'custom', message: `must be ${what}, not ${show(input)}` })
      return z.NEVER
    }
    const entries = Object.entries(input)
    if (entries.length > 1000) context.addIssue({ code: 'custom', message: 'has more than 1000 entries' })
    for (const [key, value] of entries.slice(0, 1000)) {
      const read1 = read(key, value, (message) => context.addIssue({ code: 'custom', path: [key], message }))
      if (read1 !== undefined) result[key] = read1
    }
    return result
  })
}

function texts(value: unknown): readonly string[] | undefined {
  const list = Array.isArray(value) ? value : [value]
  const found = list.map((entry) =>
    ['string', 'number', 'boolean'].includes(typeof entry) ? String(entry) : undefined,
  )
  return found.every((entry) => entry !== undefined) ? found : undefined
}

const selector = record('a section of label: value', (name, value, problem): readonly string[] | undefined => {
  if (name !== '*' && !name.includes('{{')) {
    const wrong = nameProblem('label name', name)
    if (wrong !== undefined) problem(wrong)
  }
  const values = texts(value)
  if (values === undefined) return void problem(`must be a text or a list of texts, not ${show(value)}`)
  // As in the original: "any label" makes sense only with "any value".
  if (name === '*' && !(values.length === 1 && values[0] === '*')) problem("the label '*' takes only the value '*'")
  for (const text of [name, ...values]) {
    try {
      if (text.includes('{{')) parseTemplate(text)
      else if (text !== name) compileSelectorValue(text)
    } catch (error) {
      problem(error instanceof Error ? error.message : String(error))
    }
  }
  return values
})

const traits = record('a section of trait: values', (name, value, problem): readonly string[] | undefined => {
  if (value === null) return []
  const values = texts(value)
  if (values === undefined) return void problem(`must be a text or a list of texts, not ${show(value)}`)
  if (name === 'logins') {
    for (const login of values) {
      const wrong = nameProblem('login', login)
      if (wrong !== undefined) problem(wrong)
    }
  }
  return values
})

const staticLabels = record('a section of label: value', (name, value, problem): string | undefined => {
  const wrong = nameProblem('label name', name) ?? nameProblem('label value', String(value))
  if (wrong !== undefined) problem(wrong)
  return String(value)
})

const roleLogin = parsedBy((text) => {
  if (!text.includes('{{')) {
    const wrong = text === '*' ? undefined : nameProblem('login', text)
    if (wrong !== undefined) throw new Error(wrong)
  } else parseTemplate(text)
  return text
})

const logins = z.preprocess(
  (value) => (value === null ? [] : typeof value === 'string' ? [value] : value),
  z.array(roleLogin).max(1000),
)

const rule = strictObject(
  {
    resources: yamlStrings,
    verbs: z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(oneOf(VERBS))),
  },
  { where: `conditions are ${LATER}`, actions: LATER },
)

const namespaces = yamlStrings.refine((list) => list.every((name) => name === 'default' || name === '*'), {
  message: "only the namespace 'default' exists",
})

const conditionFields = {
  namespaces: namespaces.optional(),
  logins: logins.optional(),
  node_labels: selector.optional(),
  rules: z.preprocess((value) => (value === null ? [] : value), z.array(rule).max(1000)).optional(),
}
const laterConditions = {
  ...otherProtocols,
  request: LATER,
  review_requests: LATER,
  impersonate: LATER,
  host_groups: LATER,
  host_sudoers: LATER,
}
const DENY_HAS_NONE = 'belongs to allow; a role that does not have it gives no right to join'

const deny = strictObject(conditionFields, {
  ...laterConditions,
  join_sessions: DENY_HAS_NONE,
  require_session_join: DENY_HAS_NONE,
})

const sessionModes = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(oneOf(['peer', 'observer', 'moderator'])).min(1),
)
const sessionKinds = yamlStrings
  .refine((list) => list.every((kind) => kind === 'ssh' || kind === '*'), {
    message: "only sessions of kind 'ssh' exist",
  })
  .optional()
const list = <Output>(schema: z.ZodType<Output>) =>
  z.preprocess((value) => (value === null ? [] : value), z.array(schema).max(100))

const allow = strictObject(
  {
    ...conditionFields,
    join_sessions: list(
      strictObject({ name: yamlString.optional(), roles: yamlStrings, kinds: sessionKinds, modes: sessionModes }),
    ).optional(),
    require_session_join: list(
      strictObject(
        {
          name: yamlString.optional(),
          roles: yamlStrings,
          kinds: sessionKinds,
          modes: sessionModes,
          count: z.number().int().min(1).max(100).optional(),
          on_leave: oneOf(['terminate', 'pause']).optional(),
        },
        { filter: "is not available; name the moderators' roles instead: roles: [auditor]" },
      ),
    ).optional(),
  },
  laterConditions,
)

/** Accepts the value that changes nothing, refuses the rest: an option that is not enforced must not look as if it were. */
function notYet<Output>(schema: z.ZodType<Output>, harmless: (value: Output) => boolean) {
  return schema.refine(harmless, { message: LATER }).optional()
}

const forwardRule = parsedBy((text) => {
  parseForwardRule(text)
  return text
})

const duration = parsedBy((text) => parseDuration(text, { name: 'duration' }))
const count = z.number().int().min(0)

const options = strictObject(
  {
    max_session_ttl: duration.optional(),
    forward_agent: yamlBool.optional(),
    port_forwarding: yamlBool.optional(),
    forward_to: z
      .preprocess(
        (value) => (value === null ? [] : typeof value === 'string' ? [value] : value),
        z.array(forwardRule).max(1000),
      )
      .optional(),
    permit_x11_forwarding: yamlBool.optional(),
    cert_format: oneOf(['standard', 'oldssh', ''])
      .refine((format) => format !== 'oldssh', { message: LATER })
      .optional(),
    // What the original writes by itself; recordings of kernel events do not exist here.
    enhanced_recording: yamlStrings.optional(),
    client_idle_timeout: duration.optional(),
    disconnect_expired_cert: yamlBool.optional(),
    max_connections: count.optional(),
    max_sessions: count.optional(),
    ssh_file_copy: yamlBool.optional(),
    record_session: strictObject(
      {
        default: oneOf(['strict', 'best_effort']).optional(),
        ssh: oneOf(['strict', 'best_effort']).optional(),
        exec_output: yamlBool.optional(),
      },
      { desktop: OTHER_PROTOCOL },
    ).optional(),
    require_session_mfa: notYet(yamlBool, (value) => !value),
    request_access: notYet(yamlString, (value) => value === '' || value === 'optional'),
    request_prompt: notYet(yamlString, (value) => value === ''),
    lock: notYet(yamlString, (value) => value === '' || value === 'best_effort'),
    pin_source_ip: notYet(yamlBool, (value) => !value),
    create_host_user: notYet(yamlBool, (value) => !value),
  },
  { max_kubernetes_connections: OTHER_PROTOCOL },
)

const metadata = (kind: 'role name' | 'user name') =>
  strictObject({
    name: parsedBy((text) => {
      const wrong = nameProblem(kind, text)
      if (wrong !== undefined) throw new Error(wrong)
      return text
    }),
    namespace: oneOf(['default', '']).optional(),
    description: yamlString
      .refine((text) => text.length <= 1000, { message: 'is longer than 1000 characters' })
      .optional(),
    labels: staticLabels.optional(),
    expires: yamlString
      .refine((text) => !Number.isNaN(Date.parse(text)), { message: 'must be a time such as 2030-01-31T12:00:00Z' })
      .optional(),
    // Written by listings; the store keeps its own.
    id: z.unknown().optional(),
    revision: z.unknown().optional(),
  })

const emptySection = <Output>(schema: z.ZodType<Output>) => z.preprocess((value) => value ?? {}, schema)

/** Accepts the YAML or JSON form; the result is complete. */
export const roleSchema: z.ZodType<Role> = strictObject({
  kind: z.literal('role'),
  version: oneOf(['v3', 'v4']),
  sub_kind: yamlString.optional(),
  metadata: metadata('role name'),
  spec: emptySection(
    strictObject({
      options: emptySection(options).optional(),
      allow: emptySection(allow).optional(),
      deny: emptySection(deny).optional(),
    }),
  ),
}).transform((input, context): Role => {
  const { version, spec } = input
  if (spec.allow?.logins?.includes('*')) {
    context.addIssue({
      code: 'custom',
      path: ['spec', 'allow', 'logins'],
      message: "'*' is allowed in deny only; name the logins",
    })
  }
  const allowed: AllowConditions = {
    ...complete(spec.allow),
    join_sessions: (spec.allow?.join_sessions ?? []).map(({ name = '', roles, modes }) => ({ name, roles, modes })),
    require_session_join: (spec.allow?.require_session_join ?? []).map(
      ({ name = '', roles, modes, count: needed = 1, on_leave = 'terminate' }) => ({
        name,
        roles,
        modes,
        count: needed,
        on_leave,
      }),
    ),
  }
  return {
    kind: 'role',
    version,
    metadata: cleanMetadata(input.metadata),
    spec: {
      options: completeOptions(spec.options),
      allow:
        spec.allow?.node_labels === undefined
          ? { ...allowed, node_labels: defaultNodeLabels(version, allowed) }
          : allowed,
      deny: complete(spec.deny),
    },
  }
})

/** v3 roles that name logins but no labels mean every node; from v4 on a role must say so. Source: Teleport 7. */
function defaultNodeLabels(version: Role['version'], allow: RoleConditions): LabelSelector {
  return version === 'v3' && allow.logins.length > 0 ? { '*': ['*'] } : Object.create(null)
}

function completeOptions(input: z.output<typeof options> = {}): RoleOptions {
  const recording = input.record_session
  return {
    max_session_ttl: input.max_session_ttl || MAX_SESSION_TTL_MS,
    forward_agent: input.forward_agent ?? false,
    port_forwarding: input.port_forwarding ?? true,
    forward_to: input.forward_to ?? [],
    permit_x11_forwarding: input.permit_x11_forwarding ?? false,
    client_idle_timeout: input.client_idle_timeout ?? 0,
    disconnect_expired_cert: input.disconnect_expired_cert ?? false,
    max_connections: input.max_connections ?? 0,
    max_sessions: input.max_sessions ?? 0,
    ssh_file_copy: input.ssh_file_copy ?? true,
    record_session: {
      default: recording?.ssh ?? recording?.default ?? 'best_effort',
      exec_output: recording?.exec_output ?? false,
    },
  }
}

function complete(input: z.output<typeof deny> | undefined): RoleConditions {
  return {
    logins: input?.logins ?? [],
    node_labels: input?.node_labels ?? Object.create(null),
    rules: input?.rules ?? [],
  }
}

function cleanMetadata(input: z.output<ReturnType<typeof metadata>>): Metadata {
  const { name, description, labels, expires } = input
  return {
    name,
    ...(description === undefined || description === '' ? {} : { description }),
    ...(labels === undefined ? {} : { labels }),
    ...(expires === undefined ? {} : { expires }),
  }
}

export const userSchema: z.ZodType<User> = strictObject({
  kind: z.literal('user'),
  version: oneOf(['v2', 'v3', 'v4']),
  sub_kind: yamlString.optional(),
  metadata: metadata('user name'),
  spec: emptySection(
    strictObject(
      {
        roles: z
          .preprocess((value) => value ?? [], yamlStrings)
          .refine((list) => list.every((name) => nameProblem('role name', name) === undefined), {
            message: 'has a malformed role name',
          })
          .optional(),
        traits: traits.optional(),
        // Written by listings, kept by the auth service itself.
        status: z.unknown().optional(),
        created_by: z.unknown().optional(),
        expires: z.unknown().optional(),
      },
      {
        github_identities: LATER,
        oidc_identities: LATER,
        saml_identities: LATER,
        logins: "set 'traits: {logins: […]}' instead",
      },
    ),
  ),
}).transform((input): User => {
  const traitsOrNone: Traits = input.spec.traits ?? Object.create(null)
  return {
    kind: 'user',
    version: 'v2',
    metadata: cleanMetadata(input.metadata),
    spec: { roles: [...new Set(input.spec.roles ?? [])], traits: traitsOrNone },
  }
})

/** Throws BadParameter with every problem as `file:line: key: what`. */
export const parseRole = (document: YamlDocument): Role => parseYamlValue(roleSchema, document)
export const parseUser = (document: YamlDocument): User => parseYamlValue(userSchema, document)

/** The form for storage, `tctl get` and JSON; `roleSchema` reads it back to an equal role. */
export function roleToResource(role: Role): Record<string, unknown> {
  const { options: set, allow, deny } = role.spec
  return {
    kind: role.kind,
    version: role.version,
    metadata: role.metadata,
    spec: {
      options: {
        ...set,
        max_session_ttl: formatDuration(set.max_session_ttl),
        client_idle_timeout: formatDuration(set.client_idle_timeout),
      },
      allow,
      deny,
    },
  }
}
