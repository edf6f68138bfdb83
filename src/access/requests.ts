/**
 * Roles for a limited time: who may ask for which, who decides, and when enough have decided. Pure: facts in, an answer with its
 * reason out. A deny wins; what no role allows is denied; nobody decides about their own request.
 */

import { quote } from '../common/text.ts'
import type { RuleSubject } from './facts.ts'
import { compileSelectorValue } from './labels.ts'
import { evaluate } from './predicate/evaluate.ts'
import { parsePredicate } from './predicate/parse.ts'
import type { Facts, FactValue, Predicate, Vocabulary } from './predicate/types.ts'
import { expandTemplate, parseTemplate } from './traits.ts'
import type { ClaimMapping, RequestConditions, ReviewThreshold, Role, Traits } from './types.ts'

/** Of each set, one threshold must be met: a set comes from one role of the person who asks. Numbers are places in `thresholds`. */
export interface Requirement {
  readonly role: string
  readonly sets: readonly (readonly number[])[]
}

export interface Review {
  readonly author: string
  readonly approve: boolean
  /** Thresholds that this review counts for. */
  readonly thresholds: readonly number[]
}

export interface RequestTerms {
  readonly thresholds: readonly ReviewThreshold[]
  readonly requirements: readonly Requirement[]
}

export type RequestAnswer =
  | {
      readonly allow: true
      readonly terms: RequestTerms
      readonly suggestedReviewers: readonly string[]
      readonly annotations: Readonly<Record<string, readonly string[]>>
    }
  | { readonly allow: false; readonly reason: string }

/** Where a role says nothing: one other person decides. */
const oneDecides: ReviewThreshold = { name: 'default', filter: '', approve: 1, deny: 1 }

/** Names that conditions give: listed, or by what the traits say. A pattern that cannot be read denies, and gives nothing. */
function names(
  conditions: { readonly roles: readonly string[]; readonly claims_to_roles: readonly ClaimMapping[] },
  traits: Traits,
  role: string,
  denies: boolean,
): boolean {
  const fits = (pattern: string, text: string): boolean => {
    try {
      return compileSelectorValue(pattern)(text)
    } catch {
      return denies
    }
  }
  if (conditions.roles.some((pattern) => fits(pattern, role))) return true
  return conditions.claims_to_roles.some(({ claim, value, roles }) => {
    const values = Object.hasOwn(traits, claim) ? (traits[claim] ?? []) : []
    return values.some((text) => fits(value, text)) && roles.some((pattern) => fits(pattern, role))
  })
}

/** Whether this role may be asked for at all. */
export function isRequestable({ roles, traits }: Pick<RuleSubject, 'roles' | 'traits'>, role: string): boolean {
  if (roles.some(({ spec }) => names(spec.deny.request, traits, role, true))) return false
  return roles.some(({ spec }) => names(spec.allow.request, traits, role, false))
}

/** May the subject ask for these roles, and who must then agree? */
export function judgeRequest(subject: RuleSubject, wanted: readonly string[]): RequestAnswer {
  const { roles, traits } = subject
  if (wanted.length === 0) return { allow: false, reason: 'no role is asked for' }
  const thresholds: ReviewThreshold[] = []
  const places = new Map<Role, readonly number[]>()
  const used = new Set<Role>()
  const requirements: Requirement[] = []
  for (const role of wanted) {
    const denying = roles.find(({ spec }) => names(spec.deny.request, traits, role, true))
    if (denying !== undefined)
      return { allow: false, reason: `role ${quote(denying.metadata.name)} denies to ask for the role ${quote(role)}` }
    const allowing = roles.filter(({ spec }) => names(spec.allow.request, traits, role, false))
    if (allowing.length === 0) return { allow: false, reason: `no role allows to ask for the role ${quote(role)}` }
    const sets = allowing.map((granting) => {
      used.add(granting)
      const known = places.get(granting)
      if (known !== undefined) return known
      const own = granting.spec.allow.request.thresholds
      const added = (own.length === 0 ? [oneDecides] : own).map((threshold) => thresholds.push(threshold) - 1)
      places.set(granting, added)
      return added
    })
    requirements.push({ role, sets })
  }
  const conditions = [...used].map(({ spec }) => spec.allow.request)
  return {
    allow: true,
    terms: { thresholds, requirements },
    suggestedReviewers: [...new Set(conditions.flatMap((each) => reviewersOf(each, traits)))].sort(),
    annotations: annotationsOf(conditions, roles),
  }
}

const reviewersOf = ({ suggested_reviewers }: RequestConditions, traits: Traits): readonly string[] =>
  suggested_reviewers.flatMap((text) => {
    try {
      return expandTemplate(parseTemplate(text), traits)
    } catch {
      return []
    }
  })

/** For whoever decides by programs. What a deny names is left out. */
function annotationsOf(
  allowed: readonly RequestConditions[],
  roles: readonly Role[],
): Readonly<Record<string, readonly string[]>> {
  const denied = (name: string, value: string): boolean =>
    roles.some(({ spec }) => {
      const { annotations } = spec.deny.request
      return Object.hasOwn(annotations, name) && annotations[name]?.includes(value) === true
    })
  const found = new Map<string, Set<string>>()
  for (const { annotations } of allowed) {
    for (const [name, values] of Object.entries(annotations)) {
      const kept = values.filter((value) => !denied(name, value))
      if (kept.length > 0) found.set(name, new Set([...(found.get(name) ?? []), ...kept]))
    }
  }
  const result: Record<string, readonly string[]> = Object.create(null)
  for (const [name, values] of found) result[name] = [...values]
  return result
}

/** What reviewers' conditions and thresholds' filters can ask about. */
const reviewVocabulary = {
  'reviewer.roles': 'texts',
  'reviewer.traits': 'map of texts',
  'request.roles': 'texts',
  'request.reason': 'text',
  'request.system_annotations': 'map of texts',
  'review.reason': 'text',
} as const satisfies Vocabulary

/** Throws BadParameter with the place of what cannot be read. */
export const parseReviewCondition = (text: string): Predicate => parsePredicate(text, reviewVocabulary)

export interface ReviewedRequest {
  readonly user: string
  readonly roles: readonly string[]
  readonly reason: string
  readonly annotations: Readonly<Record<string, readonly string[]>>
}

function holdsFor(
  text: string,
  reviewer: RuleSubject,
  request: ReviewedRequest,
  reason: string | undefined,
): boolean | 'unreadable' {
  if (text === '') return true
  const facts: Facts = (path) => {
    switch (path as keyof typeof reviewVocabulary) {
      case 'reviewer.roles':
        return reviewer.roles.map(({ metadata }) => metadata.name)
      case 'reviewer.traits':
        return reviewer.traits as FactValue
      case 'request.roles':
        return request.roles
      case 'request.reason':
        return request.reason
      case 'request.system_annotations':
        return request.annotations as FactValue
      case 'review.reason':
        return reason
    }
  }
  try {
    const answer = evaluate(parseReviewCondition(text), facts)
    return answer === 'unknown' ? 'unreadable' : answer
  } catch {
    return 'unreadable'
  }
}

/** Why this person may not review the request; undefined: they may. Whoever reviews must be allowed for each role that is asked for. */
export function whyNoReview(reviewer: RuleSubject, request: ReviewedRequest): string | undefined {
  if (reviewer.user === request.user) return 'nobody reviews their own request'
  for (const role of request.roles) {
    const denying = reviewer.roles.find(({ spec }) => {
      const { where } = spec.deny.review_requests
      return (
        names(spec.deny.review_requests, reviewer.traits, role, true) &&
        holdsFor(where, reviewer, request, undefined) !== false
      )
    })
    if (denying !== undefined)
      return `role ${quote(denying.metadata.name)} denies to review requests for the role ${quote(role)}`
    const allowed = reviewer.roles.some(({ spec }) => {
      const { where } = spec.allow.review_requests
      return (
        names(spec.allow.review_requests, reviewer.traits, role, false) &&
        holdsFor(where, reviewer, request, undefined) === true
      )
    })
    if (!allowed) return `no role allows to review requests for the role ${quote(role)}`
  }
  return undefined
}

/** The thresholds that a review counts for. A filter that cannot be read counts nobody's approval, and everybody's denial. */
export const thresholdsFor = (
  { thresholds }: RequestTerms,
  reviewer: RuleSubject,
  request: ReviewedRequest,
  review: { readonly approve: boolean; readonly reason: string },
): readonly number[] =>
  thresholds.flatMap(({ filter }, place) => {
    const answer = holdsFor(filter, reviewer, request, review.reason)
    return answer === true || (answer === 'unreadable' && !review.approve) ? [place] : []
  })

/** What the reviews amount to. Authors count once, however often they stand there. */
export function stateOf(
  { thresholds, requirements }: RequestTerms,
  reviews: readonly Review[],
): 'pending' | 'approved' | 'denied' {
  const count = (place: number, approve: boolean): number =>
    new Set(
      reviews
        .filter((review) => review.approve === approve && review.thresholds.includes(place))
        .map(({ author }) => author),
    ).size
  if (thresholds.some(({ deny }, place) => deny > 0 && count(place, false) >= deny)) return 'denied'
  const isMet = (place: number): boolean => {
    const threshold = thresholds[place]
    return threshold !== undefined && threshold.approve > 0 && count(place, true) >= threshold.approve
  }
  // Nothing that nobody has to agree to is ever granted.
  const granted =
    requirements.length > 0 && requirements.every(({ sets }) => sets.length > 0 && sets.every((set) => set.some(isMet)))
  return granted ? 'approved' : 'pending'
}

/** How a login asks for roles, as the roles want it: the one that asks for most. */
export function requestStrategy(roles: readonly Role[]): {
  readonly mode: 'optional' | 'always' | 'reason'
  readonly prompt: string
} {
  const said = roles.map(({ spec }) => spec.options)
  const mode = (['reason', 'always'] as const).find((word) =>
    said.some(({ request_access }) => request_access === word),
  )
  const prompts = [...new Set(said.map(({ request_prompt }) => request_prompt).filter((text) => text !== ''))]
  return { mode: mode ?? 'optional', prompt: prompts.join('\n') }
}

/** An approved request, as proxies and nodes know it. */
export interface AccessGrant {
  readonly id: string
  readonly user: string
  /** When the user was made: what was granted to a removed user is not for a new one of the same name. */
  readonly userCreated: string
  readonly roles: readonly string[]
  /** RFC 3339. */
  readonly expires: string
}

/** The roles that a grant gives this user at this time; none when it is somebody else's or over. A time that cannot be read is over. */
export const rolesOfGrant = (
  grant: AccessGrant | undefined,
  user: { readonly name: string; readonly created: string },
  nowMs: number,
): readonly string[] =>
  grant !== undefined &&
  grant.user === user.name &&
  grant.userCreated === user.created &&
  Date.parse(grant.expires) > nowMs
    ? grant.roles
    : []
