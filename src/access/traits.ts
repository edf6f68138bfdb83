/**
 * `{{internal.logins}}` and `{{external.team}}` in roles. What a trait inserts is always taken literally: an identity
 * provider that sends `*` or `^.*$` must not widen a role.
 */

import { quote } from '../common/text.ts'
import { BadParameter } from '../errors/errors.ts'
import type { Traits } from './types.ts'

export interface Template {
  readonly prefix: string
  /** Absent for plain text. */
  readonly trait?: string
  readonly suffix: string
}

const VARIABLE = /^([^{}]*)\{\{\s*(?:internal|external)(?:\.([A-Za-z0-9_-]+)|\["([^"\]]+)"\])\s*\}\}([^{}]*)$/

/** Throws BadParameter for braces that are not one `{{internal.name}}` or `{{external.name}}`. */
export function parseTemplate(text: string): Template {
  if (!text.includes('{{') && !text.includes('}}')) return { prefix: text, suffix: '' }
  const match = VARIABLE.exec(text)
  if (match === null) {
    throw new BadParameter(
      'template',
      `${quote(text)} must hold one {{internal.name}} or {{external.name}}; functions are not available in this version`,
    )
  }
  const [, prefix = '', dotted, bracketed, suffix = ''] = match
  return { prefix, trait: dotted ?? bracketed ?? '', suffix }
}

/** The texts that a template stands for: itself without a variable, one per trait value, none for an unknown trait. */
export function expandTemplate(template: Template, traits: Traits): readonly string[] {
  if (template.trait === undefined) return [template.prefix]
  const values = Object.hasOwn(traits, template.trait) ? (traits[template.trait] ?? []) : []
  return values.filter((value) => value !== '').map((value) => template.prefix + value + template.suffix)
}
