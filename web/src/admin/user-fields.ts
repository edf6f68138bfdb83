/** Roles and traits of a user out of its YAML and back into it. */

import { entriesOf, fieldOf, parseText, setField, textOf, texts } from './text-fields.ts'

export interface Trait {
  readonly name: string
  readonly values: readonly string[]
}

export interface UserFields {
  readonly roles: readonly string[]
  readonly logins: readonly string[]
  /** All others. */
  readonly traits: readonly Trait[]
}

/** Of every user, whether it is written or not. */
export const loginsTrait = 'logins'

/** Undefined for what cannot be read; the checks of the text say why. */
export function userFieldsOf(text: string): UserFields | undefined {
  const document = parseText(text)
  if (document === undefined) return undefined
  const traits = entriesOf(fieldOf(document, 'traits')).map(([name, values]) => ({ name, values: texts(values) }))
  return {
    roles: texts(fieldOf(document, 'roles')),
    logins: traits.find(({ name }) => name === loginsTrait)?.values ?? [],
    traits: traits.filter(({ name }) => name !== loginsTrait),
  }
}

/** The text with the field at that place below `spec`. */
function withField(text: string, path: readonly string[], values: readonly string[]): string {
  const document = parseText(text)
  if (document === undefined) return text
  setField(document, path, document.createNode([...values]))
  return textOf(document)
}

export const withRoles = (text: string, roles: readonly string[]): string => withField(text, ['roles'], roles)

export const withTrait = (text: string, { name, values }: Trait): string => withField(text, ['traits', name], values)

export function withoutTrait(text: string, name: string): string {
  const document = parseText(text)
  if (document === undefined) return text
  document.deleteIn(['spec', 'traits', name])
  return textOf(document)
}

/** Why a trait cannot be called so; the checks of the text say the rest. */
export function traitProblem(name: string, there: readonly Trait[]): 'taken' | 'malformed' | undefined {
  if (name === loginsTrait || there.some((trait) => trait.name === name)) return 'taken'
  return name.trim() === '' || name.length > 256 || /\p{Cc}/u.test(name) ? 'malformed' : undefined
}
