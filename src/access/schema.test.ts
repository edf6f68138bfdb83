import { describe, expect, test } from 'vitest'
import { readYaml } from '../common/yaml.ts'
import { presetRoles } from './presets.ts'
import { parseRole, parseUser, roleSchema, roleToResource } from './schema.ts'

const parse = (text: string) => {
  const [document] = readYaml(text, 'r.yaml')
  if (document === undefined) throw new Error('no document')
  return text.includes('kind: user') ? parseUser(document) : parseRole(document)
}

const ROLE = `kind: role
version: v4
metadata:
  name: dev
spec:
  options:
    max_session_ttl: 8h
    forward_agent: yes
  allow:
    logins: [dev, '{{internal.logins}}']
    node_labels:
      env: [dev, stage]
      region: '^us-.*$'
    rules:
    - resources: [user]
      verbs: [list, read]
  deny:
    logins: [root]
`

const noRequest = { roles: [], claims_to_roles: [], annotations: {}, suggested_reviewers: [], thresholds: [] }
const noReview = { roles: [], where: '', claims_to_roles: [] }

describe('roles', () => {
  test('a complete one', () => {
    expect(parse(ROLE)).toEqual({
      kind: 'role',
      version: 'v4',
      metadata: { name: 'dev' },
      spec: {
        options: {
          max_session_ttl: 28_800_000,
          forward_agent: true,
          port_forwarding: true,
          forward_to: [],
          permit_x11_forwarding: false,
          client_idle_timeout: 0,
          disconnect_expired_cert: false,
          max_connections: 0,
          max_sessions: 0,
          ssh_file_copy: true,
          record_session: { default: 'best_effort', exec_output: false },
          require_session_mfa: false,
          session_mfa_grant_ttl: 0,
          lock: 'best_effort',
          request_access: 'optional',
          request_prompt: '',
          pin_source_ip: false,
          create_host_user: false,
        },
        allow: {
          logins: ['dev', '{{internal.logins}}'],
          node_labels: { env: ['dev', 'stage'], region: ['^us-.*$'] },
          rules: [{ resources: ['user'], verbs: ['list', 'read'] }],
          join_sessions: [],
          require_session_join: [],
          request: noRequest,
          review_requests: noReview,
        },
        deny: { logins: ['root'], node_labels: {}, rules: [], request: noRequest, review_requests: noReview },
      },
    })
  })

  test('what the original exports is read', () => {
    const text = `kind: role
metadata: {id: 16, name: ops, namespace: default}
spec:
  allow: {logins: [root], node_labels: {'*': '*'}, namespaces: [default], rules: [{resources: ['*'], verbs: ['*']}]}
  deny: {}
  options: {cert_format: standard, enhanced_recording: [command, network], forward_agent: true, max_session_ttl: 30h0m0s, port_forwarding: true}
version: v3
`
    expect(parse(text)).toMatchObject({ version: 'v3', metadata: { name: 'ops' } })
  })

  test('the stored form reads back to the same role', () => {
    for (const role of [parse(ROLE), ...presetRoles]) {
      if (role.kind !== 'role') throw new Error('not a role')
      expect(roleSchema.parse(JSON.parse(JSON.stringify(roleToResource(role))))).toEqual(role)
    }
  })

  test.each([
    ['version: v4', 'version: v9', 'r.yaml:2: version: must be one of v3, v4, not "v9" (did you mean \'v3\'?)'],
    ['  name: dev', '  name: "-x"', 'r.yaml:4: metadata.name: the role name "-x" must be'],
    ['  name: dev', '  naem: dev', "r.yaml:4: metadata.naem: unknown key (did you mean 'name'?)"],
    [
      '    forward_agent: yes',
      '    forward_agnet: yes',
      "r.yaml:8: spec.options.forward_agnet: unknown key (did you mean 'forward_agent'?)",
    ],
    [
      '    forward_agent: yes',
      '    forward_agent: maybe',
      'r.yaml:8: spec.options.forward_agent: must be yes or no, not "maybe"',
    ],
    [
      'max_session_ttl: 8h',
      'max_session_ttl: 8 parsecs',
      'r.yaml:7: spec.options.max_session_ttl: duration "8 parsecs" is not a duration',
    ],
    [
      'forward_agent: yes',
      'session_mfa_grant_ttl: 13h',
      'r.yaml:8: spec.options.session_mfa_grant_ttl: must be at most',
    ],
    [
      'forward_agent: yes',
      'lock: maybe',
      'r.yaml:8: spec.options.lock: must be one of strict, best_effort, not "maybe"',
    ],
    ['forward_agent: yes', 'request_access: maybe', 'spec.options.request_access: must be one of'],
    [
      '    rules:',
      "    review_requests: {roles: [dba], where: 'nobody()'}\n    rules:",
      'spec.allow.review_requests.where: ',
    ],
    ['    rules:', '    request: {thresholds: [{deny: 1}]}\n    rules:', 'spec.allow.request.thresholds[0].approve: '],
    [
      '    rules:',
      "    request: {roles: ['^(a$']}\n    rules:",
      'spec.allow.request.roles[0]: the regular expression has',
    ],
    [
      '    logins: [root]',
      '    request: {thresholds: [{approve: 1}]}',
      'spec.deny.request.thresholds: belongs to allow',
    ],
    [
      'verbs: [list, read]',
      'verbs: [list]\n      actions: [\'log("info", "x")\']',
      'r.yaml:17: spec.allow.rules[0].actions: actions such as log(…) do not exist here',
    ],
    [
      'forward_agent: yes',
      'pin_source_ip: maybe',
      'r.yaml:8: spec.options.pin_source_ip: must be yes or no, not "maybe"',
    ],
    [
      '    rules:',
      "    app_labels: {'*': '*'}\n    rules:",
      'r.yaml:14: spec.allow.app_labels: belongs to another protocol than SSH',
    ],
    ['logins: [dev,', "logins: ['*',", "r.yaml:10: spec.allow.logins: '*' is allowed in deny only"],
    ['logins: [dev,', "logins: ['-froot',", 'spec.allow.logins[0]: the login "-froot" must be'],
    ['{{internal.logins}}', '{{email.local(external.x)}}', 'must hold one {{internal.name}}'],
    ["'^us-.*$'", "'^(us$'", 'spec.allow.node_labels.region: the regular expression has a "(" without ")"'],
    ['region:', "'*':", "spec.allow.node_labels.*: the label '*' takes only the value '*'"],
    [
      'verbs: [list, read]',
      'verbs: [list, raed]',
      'must be one of *, create, read, readnosecrets, list, update, delete, rotate, not "raed" (did you mean \'read\'?)',
    ],
    [
      '      verbs: [list, read]',
      '      verbs: [list]\n      where: equals(user.metadata.nmae, "x")',
      'r.yaml:17: spec.allow.rules[0].where: the condition has at character 8: "user.metadata.nmae", which is not known here; did you mean user.metadata.name?',
    ],
    ['kind: role', 'kind: roll', 'r.yaml:1: kind:'],
    ['metadata:\n  name: dev\n', '', 'r.yaml:1: metadata: is required'],
  ])('%j → %j is refused', (from, to, message) => {
    expect(ROLE).toContain(from)
    expect(() => parse(ROLE.replace(from, () => to))).toThrow(message)
  })

  test('every problem is reported at once', () => {
    const bad = ROLE.replace('forward_agent: yes', 'forward_agent: 7')
      .replace('name: dev', 'nmae: dev')
      .replace('[root]', '["a b"]')
    expect(() => parse(bad)).toThrow(/r\.yaml:3: .*name: is required.*r\.yaml:4: .*nmae.*r\.yaml:8: .*r\.yaml:18: /s)
  })

  test('a label named __proto__ stays a label', () => {
    const role = parse(ROLE.replace('env: [', '__proto__: ['))
    if (role.kind !== 'role') throw new Error('not a role')
    expect(Object.keys(role.spec.allow.node_labels)).toEqual(['__proto__', 'region'])
  })
})

describe('users', () => {
  test('with traits, and what listings write', () => {
    const text = `kind: user
version: v2
metadata: {name: bob}
spec:
  roles: [access, access]
  traits:
    logins: [root, bob]
    team: null
  created_by: {user: {name: x}}
  status: {is_locked: false}
`
    expect(parse(text)).toEqual({
      kind: 'user',
      version: 'v2',
      metadata: { name: 'bob' },
      spec: { roles: ['access'], traits: { logins: ['root', 'bob'], team: [] } },
    })
  })
  test.each([
    ['kind: user\nversion: v2\nmetadata: {name: bob}\nspec: {logins: [x]}', 'spec.logins: set'],
    [
      'kind: user\nversion: v2\nmetadata: {name: bob}\nspec: {traits: {logins: ["-x"]}}',
      'spec.traits.logins: the login "-x"',
    ],
    ['kind: user\nversion: v2\nmetadata: {name: bob}\nspec: {roles: ["a b"]}', 'malformed role name'],
    ['kind: user\nversion: v2\nmetadata: {name: "bob\\nx"}', 'the user name "bob\\u000ax" must be'],
  ])('%j is refused', (text, message) => expect(() => parse(text)).toThrow(message))
})
