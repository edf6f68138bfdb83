import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isBadParameter } from '../../errors/errors.ts'
import { type Answer, evaluate } from './evaluate.ts'
import { parsePredicate } from './parse.ts'
import type { FactValue, Vocabulary } from './types.ts'

const vocabulary: Vocabulary = {
  name: 'text',
  'user.roles': 'texts',
  'user.traits': 'map of texts',
  labels: 'map of text',
  later: 'text',
  'system.catype()': 'text',
}
const facts: Readonly<Record<string, FactValue>> = {
  name: 'web-1',
  'user.roles': ['dev', 'ops'],
  'user.traits': { team: ['db', 'web'], odd: ['a"b', 'c\\d'] },
  labels: { env: 'prod' },
  'system.catype()': 'host',
}
const ask = (text: string): Answer => evaluate(parsePredicate(text, vocabulary), (path) => facts[path])

describe('answers', () => {
  const rows: readonly (readonly [string, Answer])[] = [
    ['equals(name, "web-1")', true],
    ['equals("web-1", name)', true],
    ['equals(name, "web-2")', false],
    ['equals(name, `web-1`)', true],
    ['equals(labels["env"], "prod")', true],
    ['equals(labels["none"], "")', true],
    ['equals(labels["__proto__"], "")', true],
    ['equals(labels["constructor"], "")', true],
    ['equals(system.catype(), "host")', true],
    ['contains(user.roles, "dev")', true],
    ['contains(user.roles, "de")', false],
    ['contains(user.roles, name)', false],
    ['contains(user.traits["team"], "db")', true],
    ['contains(user.traits["none"], "db")', false],
    ['contains(user.traits["none"], "")', false],
    ['contains(user.traits["__proto__"], "x")', false],
    ['contains(user.traits["odd"], "a\\"b")', true],
    ['contains(user.traits["odd"], `c\\d`)', true],
    ['equals(user.traits["team"], user.traits["team"])', true],
    ['equals(user.traits["team"], user.roles)', false],
    ['!equals(name, "web-1")', false],
    ['!!equals(name, "web-1")', true],
    ['equals(name, "x") || contains(user.roles, "ops")', true],
    ['equals(name, "x") && contains(user.roles, "ops")', false],
    // && binds more strongly than ||.
    ['equals(name, "web-1") || equals(name, "x") && equals(name, "y")', true],
    ['(equals(name, "web-1") || equals(name, "x")) && equals(name, "y")', false],
    ['!equals(name, "x") && contains(user.roles, "dev")', true],
    [' equals ( name\n,\t"web-1" ) ', true],
    // What is not known is neither, and decides only where it matters.
    ['equals(later, "x")', 'unknown'],
    ['!equals(later, "x")', 'unknown'],
    ['equals(later, "x") && equals(name, "no")', false],
    ['equals(name, "no") && equals(later, "x")', false],
    ['equals(later, "x") && equals(name, "web-1")', 'unknown'],
    ['equals(later, "x") || equals(name, "web-1")', true],
    ['equals(later, "x") || equals(name, "no")', 'unknown'],
    ['equals(later, later)', 'unknown'],
  ]
  test.each(rows)('%s is %s', (text, answer) => expect(ask(text)).toBe(answer))
})

describe('refusals name the place', () => {
  test.each([
    ['', 'at character 1: its end where a function'],
    ['equals(name, "x"', 'at character 17: its end where ")" is expected'],
    ['equals(name "x")', 'at character 13: "x" where "," is expected'],
    ['equals(name, "x") equals(name, "y")', 'at character 19: "equals" where "&&", "||" or the end is expected'],
    ['equals(nmae, "x")', 'at character 8: "nmae", which is not known here; did you mean name?'],
    ['equals(__proto__, "x")', 'at character 8: "__proto__", which is not known here'],
    ['equals(user.constructor, "x")', 'at character 8: "user.constructor", which is not known here'],
    ['equal(name, "x")', 'at character 1: the function "equal", which does not exist; there are equals and contains'],
    ['log("info", "x")', 'at character 1: the function "log", which does not exist'],
    ['constructor(name, "x")', 'the function "constructor", which does not exist'],
    ["equals(name, 'x')", 'at character 14: "\'", which means nothing here; texts stand in double quotes'],
    ['name == "x"', 'at character 6: "=", which means nothing here; write equals(a, b)'],
    ['equals(name, "x) ', 'at character 14: a text that does not end'],
    ['equals(name, "\\x")', 'the escape "\\\\x", which is not known'],
    ['contains(name, "x")', 'at character 1: contains(…) of text and text; it takes a list and one text'],
    ['contains(user.roles, user.roles)', 'contains(…) of texts and texts'],
    ['equals(user.roles, "dev")', 'equals(…) of texts and text, which are never equal'],
    ['contains(user.traits, "x")', 'at character 21: "," where ["name"], since user.traits holds several is expected'],
    ['equals(labels[name], "x")', 'at character 15: "name" where a name in double quotes is expected'],
    ['equals(name["x"], "x")', 'at character 12: "[" where "," is expected'],
    ['name', 'the function "name", which does not exist'],
    ['!', 'at character 2: its end'],
    [`${'('.repeat(40)}equals(name, "x")${')'.repeat(40)}`, 'more than 32 levels'],
    [`equals(name, "${'x'.repeat(5000)}")`, 'longer than 4096 characters'],
    ['equals(name, "x") & equals(name, "y")', '"&", which means nothing here'],
  ])('%j', (text, message) => expect(() => parsePredicate(text, vocabulary)).toThrow(message))
})

test('whatever is written is read or refused, in time linear in its length', () => {
  const words = ['equals', 'contains', '(', ')', '!', '&&', '||', ',', '"x"', 'name', 'user.roles', '[', ']', '.', ' ']
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(fc.constantFrom(...words)).map((list) => list.join('')),
      ),
      (text) => {
        try {
          expect([true, false, 'unknown']).toContain(ask(text))
        } catch (error) {
          expect(isBadParameter(error)).toBe(true)
        }
      },
    ),
  )
  // Deep or long, neither fills the stack nor takes long.
  expect(() => ask('!'.repeat(4000))).toThrow('its end')
  expect(ask(`${'equals(name,"x")||'.repeat(200)}equals(name,"web-1")`)).toBe(true)
})
