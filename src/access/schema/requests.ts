/** `request` and `review_requests` of a role: which roles may be asked for, and who may grant them. */

import { z } from 'zod'
import { parsedBy, strictObject, yamlString } from '../../common/yaml.ts'
import { compileSelectorValue } from '../labels.ts'
import { parseReviewCondition } from '../requests.ts'
import { parseTemplate } from '../traits.ts'
import type { RequestConditions, ReviewConditions } from '../types.ts'
import { asList, checkedBy, count, list, record, texts } from './fields.ts'

/** Names of roles, each literal, with `*`, or `^regex$`. */
const roleMatchers = z.preprocess(asList, z.array(parsedBy(checkedBy(compileSelectorValue))).max(1000))

const claims = list(
  strictObject({
    claim: yamlString.refine((text) => text !== '', { message: 'is empty' }),
    value: yamlString,
    roles: roleMatchers,
  }),
)

const annotations = record('a section of name: texts', (_name, value, problem): readonly string[] | undefined => {
  const values = value === null ? [] : texts(value)
  return values ?? void problem('must be a text or a list of texts')
})

const expression = parsedBy((text) => {
  if (text !== '') parseReviewCondition(text)
  return text
})

const threshold = strictObject({
  name: yamlString.optional(),
  filter: expression.optional(),
  // Nobody meant "approved by nobody": whoever writes a threshold says how many.
  approve: count.min(1).max(100),
  deny: count.max(100).optional(),
})

const reviewers = z.preprocess(asList, z.array(parsedBy(checkedBy(parseTemplate))).max(100))

const shared = {
  roles: roleMatchers.optional(),
  claims_to_roles: claims.optional(),
  annotations: annotations.optional(),
}

const allowFields = strictObject({
  ...shared,
  suggested_reviewers: reviewers.optional(),
  thresholds: list(threshold).optional(),
})
type RequestInput = z.output<typeof allowFields>

const ALLOW_ONLY = 'belongs to allow'
const denyFields = strictObject(shared, { suggested_reviewers: ALLOW_ONLY, thresholds: ALLOW_ONLY })

const reviewFields = strictObject({
  roles: roleMatchers.optional(),
  where: expression.optional(),
  claims_to_roles: claims.optional(),
})

const orNothing = <Output extends object>(schema: z.ZodType<Output>) => z.preprocess((value) => value ?? {}, schema)

export const allowRequest = orNothing<RequestInput>(allowFields)
/** Deny has no thresholds: listings of roles write them empty all the same. */
export const denyRequest = orNothing<RequestInput>(
  z.preprocess(withoutEmptyAllowOnly, denyFields) as z.ZodType<RequestInput>,
)
export const reviewRequests = orNothing(reviewFields)

function withoutEmptyAllowOnly(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).filter(
      ([key, part]) =>
        !(
          (key === 'thresholds' || key === 'suggested_reviewers') &&
          (part === null || (Array.isArray(part) && part.length === 0))
        ),
    ),
  )
}

export function completeRequest(input: RequestInput = {}): RequestConditions {
  return {
    roles: input.roles ?? [],
    claims_to_roles: input.claims_to_roles ?? [],
    annotations: input.annotations ?? Object.create(null),
    suggested_reviewers: input.suggested_reviewers ?? [],
    thresholds: (input.thresholds ?? []).map(({ name = '', filter = '', approve, deny = 1 }) => ({
      name,
      filter,
      approve,
      deny,
    })),
  }
}

export function completeReview(input: z.output<typeof reviewFields> = {}): ReviewConditions {
  return { roles: input.roles ?? [], where: input.where ?? '', claims_to_roles: input.claims_to_roles ?? [] }
}
