/** Resources from YAML and JSON: `kind: role` and `kind: user`, checked once, completed with the defaults of their version. */

import { z } from 'zod'
import { formatDuration } from '../common/durations.ts'
import { nameProblem } from '../common/names.ts'
import { oneOf, parseYamlValue, strictObject, type YamlDocument, yamlString, yamlStrings } from '../common/yaml.ts'
import { allow, complete, completeAllow, deny } from './schema/conditions.ts'
import { cleanMetadata, emptySection, LATER, metadata, traits } from './schema/fields.ts'
import { localAuth } from './schema/local-auth.ts'
import { completeOptions, options } from './schema/options.ts'
import type { LabelSelector, Role, RoleConditions, Traits, User } from './types.ts'

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
  const allowed = completeAllow(spec.allow)
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

const userSchema: z.ZodType<User> = strictObject({
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
        local_auth: localAuth.optional(),
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
  const local = input.spec.local_auth
  const traitsOrNone: Traits = input.spec.traits ?? Object.create(null)
  return {
    kind: 'user',
    version: 'v2',
    metadata: cleanMetadata(input.metadata),
    spec: {
      roles: [...new Set(input.spec.roles ?? [])],
      traits: traitsOrNone,
      ...(local === undefined ? {} : { local_auth: local }),
    },
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
        session_mfa_grant_ttl: formatDuration(set.session_mfa_grant_ttl),
      },
      allow,
      deny,
    },
  }
}
