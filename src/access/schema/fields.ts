/** What several parts of a resource are made of: selectors, traits, logins, metadata; and the words for what is refused. */

import { z } from 'zod'
import { parseDuration } from '../../common/durations.ts'
import { nameProblem } from '../../common/names.ts'
import { oneOf, parsedBy, show, strictObject, yamlString } from '../../common/yaml.ts'
import { compileSelectorValue } from '../labels.ts'
import { parseTemplate } from '../traits.ts'
import type { Metadata } from '../types.ts'

export const LATER = 'not available in this version'
export const OTHER_PROTOCOL = 'belongs to another protocol than SSH; remove it'

/** One text or a list of them. */
export const asList = (value: unknown): unknown => (value === null ? [] : typeof value === 'string' ? [value] : value)

/** The text itself, once the parser that will read it later has no objection. */
export const checkedBy =
  (parse: (text: string) => unknown) =>
  (text: string): string => {
    parse(text)
    return text
  }

/** A record without prototype: `__proto__` is a name like any other. */
export function record<Value>(
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

export function texts(value: unknown): readonly string[] | undefined {
  const list = Array.isArray(value) ? value : [value]
  const found = list.map((entry) =>
    ['string', 'number', 'boolean'].includes(typeof entry) ? String(entry) : undefined,
  )
  return found.every((entry) => entry !== undefined) ? found : undefined
}

export const selector = record('a section of label: value', (name, value, problem): readonly string[] | undefined => {
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

export const traits = record('a section of trait: values', (name, value, problem): readonly string[] | undefined => {
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

export const logins = z.preprocess(asList, z.array(roleLogin).max(1000))

/** A name of an account, a role or the like, checked as names of that kind are. */
const named = (kind: 'role name' | 'user name') =>
  parsedBy((text) => {
    const wrong = nameProblem(kind, text)
    if (wrong !== undefined) throw new Error(wrong)
    return text
  })

export const duration = parsedBy((text) => parseDuration(text, { name: 'duration' }))
export const count = z.number().int().min(0)
export const list = <Output>(schema: z.ZodType<Output>, max = 100) =>
  z.preprocess((value) => (value === null ? [] : value), z.array(schema).max(max))
export const emptySection = <Output>(schema: z.ZodType<Output>) => z.preprocess((value) => value ?? {}, schema)

export const metadata = (kind: 'role name' | 'user name') =>
  strictObject({
    name: named(kind),
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

export function cleanMetadata(input: z.output<ReturnType<typeof metadata>>): Metadata {
  const { name, description, labels, expires } = input
  return {
    name,
    ...(description === undefined || description === '' ? {} : { description }),
    ...(labels === undefined ? {} : { labels }),
    ...(expires === undefined ? {} : { expires }),
  }
}
