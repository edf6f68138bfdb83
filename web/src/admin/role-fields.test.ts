import { expect, test } from 'vitest'
import { fieldsOf, withFields } from './role-fields.ts'

const text = `kind: role
version: v4
metadata: {name: dev}
spec:
  # who
  allow:
    logins: ['{{internal.logins}}'] # as they say
    node_labels: {env: [dev, test], tier: web}
    rules:
      - resources: [user, role]
        verbs: [list]
  options: {forward_agent: yes}
`

test('the form shows what the text says, and the defaults', () => {
  expect(fieldsOf(text)).toEqual({
    logins: ['{{internal.logins}}'],
    labels: ['env=dev', 'env=test', 'tier=web'],
    rules: ['user,role:list'],
    sessionTtl: '',
    forwardAgent: true,
    portForwarding: true,
    fileCopy: true,
    sessionMfa: false,
  })
})

test.each([
  { name: 'logins', change: { logins: ['root', 'app'] } },
  { name: 'labels with several values', change: { labels: ['env=dev', 'env=prod', 'a=b=c'] } },
  { name: 'a label that says what every object has', change: { labels: ['__proto__=x', 'constructor=y'] } },
  { name: 'rules', change: { rules: ['token:list,create', '*:*'] } },
  { name: 'options', change: { sessionTtl: '8h0m0s', forwardAgent: false, portForwarding: false, sessionMfa: true } },
])('$name go into the text and come back', ({ change }) => {
  const changed = withFields(text, change)
  expect(fieldsOf(changed)).toMatchObject(change)
  expect(changed).toContain('# who')
})

test.each([
  { name: 'nothing where a section belongs', text: 'kind: role\nspec:\n  allow:\n' },
  { name: 'no spec', text: 'kind: role\nmetadata: {name: a}\n' },
])('$name becomes a section', ({ text }) => {
  expect(fieldsOf(withFields(text, { logins: ['root'] }))?.logins).toEqual(['root'])
})

test('conditions are left to the text', () => {
  expect(fieldsOf('spec: {allow: {rules: [{resources: [user], verbs: [read], where: x}]}}')?.rules).toBeUndefined()
})

test.each(['', 'a: [', '- list', 'text'])('%j has no fields, and stays', (bad) => {
  expect(fieldsOf(bad)).toBeUndefined()
  expect(withFields(bad, { logins: ['root'] })).toBe(bad)
})
