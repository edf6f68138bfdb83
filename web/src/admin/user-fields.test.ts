import { expect, test } from 'vitest'
import { traitProblem, userFieldsOf, withoutTrait, withRoles, withTrait } from './user-fields.ts'

const text = `kind: user
version: v2
metadata: {name: bob}
spec:
  roles: [access] # for now
  traits:
    logins: [root, app]
    team: db
    https://claims.example/groups: [a, "b, c"]
`

test('the form shows what the text says', () => {
  expect(userFieldsOf(text)).toEqual({
    roles: ['access'],
    logins: ['root', 'app'],
    traits: [
      { name: 'team', values: ['db'] },
      { name: 'https://claims.example/groups', values: ['a', 'b, c'] },
    ],
  })
})

test.each([
  { name: 'team', values: ['web', 'db'] },
  { name: 'logins', values: [] },
  { name: 'new one', values: ['<b>x</b>', '{{x}}', 'yes', '1', 'é'] },
  { name: '__proto__', values: ['x'] },
  { name: 'constructor', values: ['y'] },
])('the trait $name goes into the text and comes back, and comments stay', (trait) => {
  const changed = withTrait(text, trait)
  const fields = userFieldsOf(changed)
  const found =
    trait.name === 'logins' ? fields?.logins : fields?.traits.find(({ name }) => name === trait.name)?.values
  expect(found).toEqual(trait.values)
  expect(changed).toContain('# for now')
})

test('a trait is taken away, and only that', () => {
  expect(userFieldsOf(withoutTrait(text, 'team'))?.traits.map(({ name }) => name)).toEqual([
    'https://claims.example/groups',
  ])
})

test.each([
  'kind: user\nspec:\n',
  'kind: user\nmetadata: {name: a}\n',
  'kind: user\nspec: {traits: null, roles: null}\n',
])('what is missing in %j is made', (bare) => {
  const changed = withRoles(withTrait(bare, { name: 'team', values: ['db'] }), ['access'])
  expect(userFieldsOf(changed)).toMatchObject({ roles: ['access'], traits: [{ name: 'team', values: ['db'] }] })
})

test.each(['', 'a: [', '- list', 'text'])('%j has no fields, and stays', (bad) => {
  expect(userFieldsOf(bad)).toBeUndefined()
  expect(withTrait(bad, { name: 'team', values: ['db'] })).toBe(bad)
  expect(withoutTrait(bad, 'team')).toBe(bad)
})

test.each([
  ['team', 'taken'],
  ['logins', 'taken'],
  ['', 'malformed'],
  ['  ', 'malformed'],
  ['a\nb', 'malformed'],
  ['x'.repeat(300), 'malformed'],
  ['Team', undefined],
  ['https://claims.example/x', undefined],
])('a new trait called %j: %s', (name, problem) => {
  expect(traitProblem(name, [{ name: 'team', values: [] }])).toBe(problem)
})
