/** Fields of a YAML text, read and changed in place: what a form does not know, and comments, stay as they are. */

import { type Document, isMap, parseDocument } from 'yaml'

/** Undefined for what cannot be read; the checks of the text say why. */
export function parseText(text: string): Document.Parsed | undefined {
  // Bounded like every text that is parsed; the real checks come with saving.
  if (text.length > 1_000_000) return undefined
  const document = parseDocument(text, { logLevel: 'silent' })
  return document.errors.length === 0 && isMap(document.contents) ? document : undefined
}

/** Below `spec`. */
export function fieldOf(document: Document, ...path: string[]): unknown {
  const value: unknown = document.getIn(['spec', ...path])
  return isNode(value) ? value.toJS(document) : value
}

/** Below `spec`; a section that is missing, or written as nothing, becomes one. */
export function setField(document: Document, path: readonly string[], value: unknown): void {
  for (let depth = 1; depth <= path.length; depth++) {
    const place = ['spec', ...path.slice(0, depth - 1)]
    if (!isMap(document.getIn(place, true))) document.setIn(place, document.createNode({}))
  }
  document.setIn(['spec', ...path], value)
}

export const textOf = (document: Document): string => document.toString({ lineWidth: 0 })

const isNode = (value: unknown): value is { toJS(document: Document): unknown } =>
  typeof value === 'object' && value !== null && 'toJS' in value

export const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.map(String) : value === null || value === undefined ? [] : [String(value)]

export const entriesOf = (value: unknown): [string, unknown][] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
