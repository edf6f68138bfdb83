/** `spec.allow` and `spec.deny` of a role. */

import { z } from 'zod'
import { oneOf, parsedBy, strictObject, yamlString, yamlStrings } from '../../common/yaml.ts'
import { parseWhere } from '../rules.ts'
import type { AllowConditions, RoleConditions, Rule } from '../types.ts'
import { asList, checkedBy, LATER, list, logins, OTHER_PROTOCOL, selector } from './fields.ts'
import { allowRequest, completeRequest, completeReview, denyRequest, reviewRequests } from './requests.ts'

const VERBS = ['*', 'create', 'read', 'readnosecrets', 'list', 'update', 'delete', 'rotate'] as const

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

const where = parsedBy(checkedBy((text) => (text.trim() === '' ? undefined : parseWhere(text))))

const rule = strictObject(
  {
    resources: yamlStrings,
    verbs: z.preprocess(asList, z.array(oneOf(VERBS))),
    where: where.optional(),
  },
  { actions: 'actions such as log(…) do not exist here; every request is in the audit log' },
).transform(({ resources, verbs, where: condition = '' }): Rule => {
  return condition.trim() === '' ? { resources, verbs } : { resources, verbs, where: condition }
})

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
  impersonate: LATER,
  host_groups: LATER,
  host_sudoers: LATER,
}
const DENY_HAS_NONE = 'belongs to allow; a role that does not have it gives no right to join'

export const deny = strictObject(
  { ...conditionFields, request: denyRequest.optional(), review_requests: reviewRequests.optional() },
  {
    ...laterConditions,
    join_sessions: DENY_HAS_NONE,
    require_session_join: DENY_HAS_NONE,
  },
)

const sessionModes = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(oneOf(['peer', 'observer', 'moderator'])).min(1),
)
const sessionKinds = yamlStrings
  .refine((list) => list.every((kind) => kind === 'ssh' || kind === '*'), {
    message: "only sessions of kind 'ssh' exist",
  })
  .optional()

export const allow = strictObject(
  {
    ...conditionFields,
    request: allowRequest.optional(),
    review_requests: reviewRequests.optional(),
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

export function completeAllow(input: z.output<typeof allow> = {}): AllowConditions {
  return {
    ...complete(input),
    join_sessions: (input.join_sessions ?? []).map(({ name = '', roles, modes }) => ({ name, roles, modes })),
    require_session_join: (input.require_session_join ?? []).map(
      ({ name = '', roles, modes, count: needed = 1, on_leave = 'terminate' }) => ({
        name,
        roles,
        modes,
        count: needed,
        on_leave,
      }),
    ),
  }
}

/** What allow and deny share. */
export function complete(input: z.output<typeof deny> = {}): RoleConditions {
  return {
    logins: input.logins ?? [],
    node_labels: input.node_labels ?? Object.create(null),
    rules: input.rules ?? [],
    request: completeRequest(input.request),
    review_requests: completeReview(input.review_requests),
  }
}
