/**
 * YAML files read once, at the border: bounded in size, depth and aliases, every problem with its file, line and key,
 * unknown keys refused with the nearest known one. Used for teleport.yaml and for resources.
 */

import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { BadParameter } from '../errors/errors.ts'
import { nearest, quote, stripControl } from './text.ts'

export type Path = readonly PropertyKey[]

export interface YamlDocument {
  readonly value: unknown
  /** The file as shown in messages. */
  readonly file: string
  /** The line, counted from 1, of the key or list entry at the path, or of the nearest one above it. */
  lineOf(path: Path): number
}

export interface Problem {
  readonly line: number
  /** `ssh_service.listen_addr`; empty for the whole document. */
  readonly key: string
  readonly message: string
}

const MAX_ALIASES = 100
const MAX_DEPTH = 50
const MAX_PROBLEMS = 50

/** The documents of a file, `---` between them; empty ones are left out. Throws BadParameter with `file:line: what`. */
export function readYaml(text: string, file: string, maxBytes = 1024 * 1024): readonly YamlDocument[] {
  if (new TextEncoder().encode(text).length > maxBytes)
    throw new BadParameter(file, `${file}: larger than ${maxBytes} bytes`)
  checkIndentation(text, file)
  const lines = new LineCounter()
  try {
    const parsed = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: true,
      logLevel: 'silent',
    })
    const documents = Array.isArray(parsed) ? parsed : []
    const problems = documents.flatMap((document) =>
      document.errors.map((error) => ({
        line: lines.linePos(error.pos[0]).line,
        key: '',
        message:
          error.code === 'DUPLICATE_KEY'
            ? `the key ${quote(/^[^\s:]*/.exec(text.slice(error.pos[0]))?.[0] ?? '')} is there twice`
            : firstLine(error.message),
      })),
    )
    if (problems.length > 0) throw problemsError(file, problems)
    return documents
      .filter((document) => document.contents !== null)
      .map((document) => toDocument(document, lines, file))
  } catch (error) {
    if (error instanceof BadParameter) throw error
    if (error instanceof RangeError) throw new BadParameter(file, `${file}: nested too deeply`, { cause: error })
    if (error instanceof ReferenceError)
      throw new BadParameter(file, `${file}: too many YAML aliases`, { cause: error })
    throw error
  }
}

/** A flow collection nested without end would fill the parser's stack: count brackets before parsing. */
function checkIndentation(text: string, file: string): void {
  let depth = 0
  for (const char of text) {
    if (char === '[' || char === '{') depth++
    else if (char === ']' || char === '}') depth = Math.max(0, depth - 1)
    // Brackets in strings and comments count too; nobody writes a thousand unbalanced ones.
    if (depth > 1000) throw new BadParameter(file, `${file}: nested too deeply`)
  }
}

function toDocument(document: Document, lines: LineCounter, file: string): YamlDocument {
  const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES })
  if (depthOf(value, 0) > MAX_DEPTH) throw new BadParameter(file, `${file}: nested too deeply`)
  return {
    value,
    file,
    lineOf: (path) => {
      let node: unknown = document.contents
      let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
      for (const segment of path) {
        if (isAlias(node)) node = node.resolve(document)
        if (isMap(node)) {
          const pair = node.items.find(
            ({ key }) => (isScalar(key) ? String(key.value) : String(key)) === String(segment),
          )
          if (pair === undefined) break
          if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
          node = pair.value
        } else if (isSeq(node) && typeof segment === 'number') {
          node = node.items[segment]
          if (isNode(node)) offset = node.range?.[0] ?? offset
        } else break
      }
      return lines.linePos(offset).line
    },
  }
}

function isNode(value: unknown): value is { range?: readonly [number, number, number] | null } {
  return typeof value === 'object' && value !== null && 'range' in value
}

function depthOf(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return depth
  return Math.max(depth, ...Object.values(value).map((child) => depthOf(child, depth + 1)))
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''

/**
 * An object that refuses other keys, each with the nearest known one. `foreign` maps keys that deserve their own words,
 * such as those of a product part that does not exist here.
 */
export function strictObject<Shape extends z.ZodRawShape>(
  shape: Shape,
  foreign: Readonly<Record<string, string>> = {},
) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined
      return issue.keys.map((key) => unknownKey(key, Object.keys(shape), foreign)).join('\n')
    },
  })
}

function unknownKey(key: string, known: readonly string[], foreign: Readonly<Record<string, string>>): string {
  const own = Object.hasOwn(foreign, key) ? foreign[key] : undefined
  if (own !== undefined) return own
  const near = nearest(key, known)
  return near === undefined ? 'unknown key' : `unknown key (did you mean '${near}'?)`
}

/** Booleans as every YAML and every administrator spells them. */
export const yamlBool = z.unknown().transform((value, context): boolean => {
  if (typeof value === 'boolean') return value
  const text = typeof value === 'string' ? value.toLowerCase() : ''
  if (['yes', 'on', 'true', 'y'].includes(text)) return true
  if (['no', 'off', 'false', 'n'].includes(text)) return false
  context.addIssue({ code: 'custom', message: `must be yes or no, not ${show(value)}` })
  return z.NEVER
})

/** A string; numbers and booleans are taken as written, since YAML makes them from unquoted words. */
export const yamlString = z.unknown().transform((value, context): string => {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  context.addIssue({
    code: 'custom',
    message: value === undefined ? 'is required' : `must be a text, not ${show(value)}`,
  })
  return z.NEVER
})

/** One text or a list of texts; always a list afterwards. */
export const yamlStrings = z.preprocess(
  (value) => (value === null ? [] : Array.isArray(value) ? value : [value]),
  z.array(yamlString).max(10_000),
)

/** A text that another parser of ours reads; its BadParameter becomes the problem's message. */
export function parsedBy<T>(parse: (text: string) => T) {
  return yamlString.transform((text, context): T => {
    try {
      return parse(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
      return z.NEVER
    }
  })
}

/** One of some words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return yamlString.transform((text, context): Words[number] => {
    const word = words.find((candidate) => candidate === text)
    if (word !== undefined) return word
    const near = nearest(text, words)
    const hint = near === undefined ? '' : ` (did you mean '${near}'?)`
    context.addIssue({ code: 'custom', message: `must be one of ${words.join(', ')}, not ${quote(text)}${hint}` })
    return z.NEVER
  })
}

/** What was found, for messages; long and odd values are cut and made harmless. */
export function show(value: unknown): string {
  if (typeof value === 'string') return quote(value)
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a section'
  return value === null || value === undefined ? 'nothing' : quote(String(value))
}

/** The value of the schema. Throws BadParameter with every problem as `file:line: key: what`, one a line. */
export function parseYamlValue<Output>(schema: z.ZodType<Output>, document: YamlDocument, under: Path = []): Output {
  const result = schema.safeParse(document.value)
  if (result.success) return result.data
  throw problemsError(document.file, problemsOf(result.error, document, under))
}

function problemsOf(error: z.ZodError, document: YamlDocument, under: Path = []): readonly Problem[] {
  return error.issues.flatMap((issue) => {
    const path = [...under, ...issue.path]
    if (issue.code === 'unrecognized_keys') {
      const messages = issue.message.split('\n')
      return issue.keys.map((key, index) => problemAt(document, [...path, key], messages[index] ?? 'unknown key'))
    }
    return [problemAt(document, path, describe(issue))]
  })
}

export function problemAt(document: YamlDocument, path: Path, message: string): Problem {
  return { line: document.lineOf(path), key: showPath(path), message }
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined && issue.message.includes('undefined')) return 'is required'
    const words: Readonly<Record<string, string>> = {
      object: 'a section',
      array: 'a list',
      number: 'a number',
      int: 'a whole number',
    }
    return `must be ${words[issue.expected] ?? issue.expected}`
  }
  return issue.message
}

function showPath(path: Path): string {
  return path
    .map((segment, index) =>
      typeof segment === 'number' ? `[${segment}]` : `${index === 0 ? '' : '.'}${stripControl(String(segment))}`,
    )
    .join('')
}

/** One BadParameter for all problems, in the order of the file. */
export function problemsError(file: string, problems: readonly Problem[]): BadParameter {
  const sorted = [...problems].sort((a, b) => a.line - b.line)
  const lines = sorted
    .slice(0, MAX_PROBLEMS)
    .map(({ line, key, message }) => `${file}:${line}: ${key === '' ? '' : `${key}: `}${message}`)
  if (sorted.length > MAX_PROBLEMS) lines.push(`${file}: and ${sorted.length - MAX_PROBLEMS} more problems`)
  return new BadParameter(sorted[0]?.key ?? file, lines.join('\n'))
}
