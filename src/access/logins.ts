/** The OS accounts that `logins` of a role stand for, traits filled in. What is no valid login is left out. */

import { isLogin } from '../common/names.ts'
import { expandTemplate, parseTemplate, type Template } from './traits.ts'
import type { RoleConditions, Traits } from './types.ts'

interface Entry {
  /** As it stands in the role. */
  readonly text: string
  /** Absent: it cannot be read. */
  readonly template?: Template
}

/** Roles are values that never change: what was read stays good for as long as the role is there. */
const read = new WeakMap<readonly string[], readonly Entry[]>()

function entriesOf(logins: readonly string[]): readonly Entry[] {
  let entries = read.get(logins)
  if (entries === undefined) {
    entries = logins.map((text): Entry => {
      try {
        return { text, template: parseTemplate(text) }
      } catch {
        return { text }
      }
    })
    read.set(logins, entries)
  }
  return entries
}

export const loginsOf = ({ logins }: RoleConditions, traits: Traits): readonly string[] =>
  entriesOf(logins).flatMap(({ template }) => filled(template, traits))

/** The entry of an allow section that gives the login, as it stands in the role. */
export function allowingLogin({ logins }: RoleConditions, login: string, traits: Traits): string | undefined {
  return entriesOf(logins).find(({ template }) => gives(template, login, traits))?.text
}

/** The entry of a deny section that takes the login away. One that cannot be read takes all away. */
export function denyingLogin({ logins }: RoleConditions, login: string, traits: Traits): string | undefined {
  const found = entriesOf(logins).find(
    ({ text, template }) => text === '*' || template === undefined || gives(template, login, traits),
  )
  return found?.text
}

/** Does the deny section take every login away? */
export const deniesAllLogins = ({ logins }: RoleConditions): boolean =>
  entriesOf(logins).some(({ text, template }) => text === '*' || template === undefined)

const gives = (template: Template | undefined, login: string, traits: Traits): boolean =>
  template !== undefined &&
  (template.trait === undefined ? template.prefix === login : filled(template, traits).includes(login))

const filled = (template: Template | undefined, traits: Traits): readonly string[] =>
  template === undefined ? [] : expandTemplate(template, traits).filter(isLogin)
