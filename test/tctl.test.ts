/** Administration: users, tokens, resources, the audit log, the numbers for monitoring. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, freePorts, login, password, startCluster } from './cluster.ts'
import { bin, Dialog, run } from './run.ts'

let cluster: Cluster
let diag: number

beforeAll(async () => {
  diag = (await freePorts()).auth
  cluster = await startCluster({
    teleport: `  diag_addr: 127.0.0.1:${diag}`,
  })
})
afterAll(async () => {
  await cluster.remove()
})

const ok = async (...args: readonly string[]) => {
  const result = await cluster.tctl(...args)
  expect(result.code, result.stderr).toBe(0)
  return result.stdout
}
const create = (text: string, ...flags: readonly string[]) =>
  run(bin('tctl'), ['-c', cluster.config, 'create', ...flags, '-'], { env: cluster.env(), input: text })

describe('tctl', () => {
  test('status in two columns', async () => {
    expect(await ok('status')).toMatch(
      /^Cluster {2}feat\nVersion {2}\d+\.\d+\.\d+\nHost CA {2}never updated\nUser CA {2}never updated\nJwt CA {3}never updated\nCA pin {3}sha256:[0-9a-f]{64}\n$/,
    )
    expect(JSON.parse(await ok('status', '--format=json')).clusterName).toBe('feat')
  })

  test('users: add, ls, update, reset, rm', async () => {
    await ok('users', 'add', 'dave', '--logins=dave,root', '--roles=access,auditor', '--ttl=30m')
    expect(await ok('users', 'ls')).toBe('User  Roles\n----  --------------\ndave  access,auditor\n')
    expect((await cluster.tctl('users', 'add', 'dave')).stderr).toMatch(/dave.*exists/)
    await ok('users', 'update', 'dave', '--set-roles=access', '--set-logins=dave')
    const user = JSON.parse(await ok('get', 'user/dave', '--format=json'))[0]
    expect(user.spec.roles).toEqual(['access'])
    expect(user.spec.traits.logins).toEqual(['dave'])
    expect(await ok('users', 'reset', 'dave')).toMatch(/has been reset.*link is valid for 8h:\nhttps:/)
    expect(await ok('tokens', 'ls')).toMatch(/Password/)
    expect(await ok('users', 'rm', 'dave')).toBe('User "dave" has been deleted\n')
    expect((await cluster.tctl('users', 'rm', 'dave')).code).toBe(1)
    expect((await cluster.tctl('users', 'add', 'eve', '--roles=nosuch')).stderr).toContain('nosuch')
  })

  test('the old set_pass warns, and short passwords are refused', async () => {
    await ok('users', 'add', 'frank')
    const old = await cluster.tctl('user', 'set_pass', '-user=frank', `-pass=${password}`)
    expect(old.code, old.stderr).toBe(0)
    expect(old.stderr).toContain('visible to every user of this machine')
    const short = await run(bin('tctl'), ['-c', cluster.config, 'users', 'set-password', 'frank'], {
      env: cluster.env(),
      input: 'short\n',
    })
    expect(short.code).toBe(2)
    expect(short.stderr).toContain('12')
  })

  test('tokens: shown in full once, abbreviated afterwards, revoked', async () => {
    const token = (await ok('tokens', 'add', '--type=node,proxy', '--ttl=5m', '--quiet')).trim()
    const listed = await ok('tokens', 'ls')
    expect(listed).not.toContain(token)
    expect(listed).toMatch(/Node,Proxy|Proxy,Node/)
    expect(listed).toMatch(/\d\d \w{3} \d\d \d\d:\d\d UTC \(\dm\d+s\)/)
    await ok('tokens', 'rm', token)
    expect((await cluster.tctl('tokens', 'rm', token)).code).toBe(1)
  })

  test('create, get and rm of roles and users; -f replaces', async () => {
    const role = (labels: string) =>
      `kind: role\nversion: v4\nmetadata:\n  name: dev\nspec:\n  allow:\n    logins: ['{{internal.logins}}']\n    node_labels:\n      env: ${labels}\n`
    const made = await create(
      `${role('dev')}---\nkind: user\nversion: v2\nmetadata: {name: gina}\nspec: {roles: [dev], traits: {logins: [${login}]}}\n`,
    )
    expect(made.stdout, made.stderr).toBe(`role 'dev' has been created\nuser "gina" has been created\n`)
    expect((await create(role('prod'))).stderr).toContain('exists')
    expect((await create(role('prod'), '-f')).code).toBe(0)
    const yaml = await ok('get', 'role/dev,user/gina')
    expect(yaml).toMatch(/kind: role\n[\s\S]*env:\n\s+- prod\n[\s\S]*---\nkind: user\n/)
    expect(await ok('get', 'roles', '--format=text')).toMatch(
      /^Role +Allowed to login as +Node Labels +Access to resources\n/,
    )
    expect((await cluster.tctl('rm', 'role/dev')).code).not.toBe(0)
    await ok('rm', 'user/gina')
    await ok('rm', 'role/dev')
    expect((await cluster.tctl('get', 'role/dev')).stderr).toMatch(/not found|no role/i)
    expect(await ok('get', 'cert_authority', '--format=text')).toMatch(
      /^Cluster Name +CA Type +Fingerprint +Role Map\n/,
    )
    expect(await ok('get', 'nodes')).toContain('hostname: node-1')
    expect(await ok('get', 'cap')).toContain('second_factor: off')
  })

  test('edit: changed text is put, the same text changes nothing, and no text is lost', async () => {
    const edit = (editor: string, ...args: readonly string[]) =>
      run(bin('tctl'), ['-c', cluster.config, 'edit', ...args], {
        env: { ...cluster.env(), EDITOR: editor, VISUAL: '' },
      })
    const logins = async () => JSON.parse(await ok('get', 'role/ed', '--format=json'))[0].spec.allow.logins
    await create('kind: role\nversion: v4\nmetadata: {name: ed}\nspec: {allow: {logins: [first]}}\n')
    expect((await edit('true', 'role/ed')).stdout).toContain('nothing was changed')
    const done = await edit("sed -i 's/first/second/'", 'role/ed')
    expect(done.stdout, done.stderr).toBe("role 'ed' has been updated\n")
    expect(await logins()).toEqual(['second'])

    const wrong = await edit("sed -i 's/second/third/; s/allow:/alow:/'", 'role/ed')
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toMatch(/role-ed\.yaml:\d+: spec\.alow: unknown key \(did you mean 'allow'/)
    const kept = /Your text is kept in (\S+)/.exec(wrong.stderr)?.[1] ?? ''
    expect(readFileSync(kept, 'utf8')).toContain('third')

    const meanwhile = join(cluster.dir, 'meanwhile.sh')
    const other = 'kind: role\nversion: v4\nmetadata: {name: ed}\nspec: {allow: {logins: [other]}}\n'
    const command = `${bin('tctl')} -c ${cluster.config} create -f - >/dev/null <<'END'\n${other}END\n`
    writeFileSync(meanwhile, `#!/bin/sh\n${command}sed -i 's/second/mine/' "$1"\n`, { mode: 0o700 })
    const conflict = await edit(meanwhile, 'role/ed')
    expect(conflict.code).toBe(1)
    expect(conflict.stderr).toMatch(/role "ed" was changed meanwhile by ".+" at .*; get it again/)
    expect(conflict.stderr).toContain('Your text is kept in')
    expect(await logins()).toEqual(['other'])
    await ok('update', 'role/ed', '--set', 'spec.allow.logins=[fourth]')
    expect(await logins()).toEqual(['fourth'])
    expect((await cluster.tctl('update', 'role/none', '--set', 'spec.allow.logins=[x]')).code).toBe(1)
    await ok('rm', 'role/ed')
  })

  test('settings of the cluster: those of the file need a confirmation, the others do not', async () => {
    expect(await ok('get', 'cap')).toMatch(/teleport\.dev\/origin: config-file[\s\S]*second_factor: off/)
    expect((await create(await ok('get', 'cap'), '-f')).stderr).toMatch(/configuration file.*--confirm/)
    const networking = await ok('get', 'netconfig')
    expect(networking).toContain('teleport.dev/origin: defaults')
    const changed = networking.replace('keep_alive_count_max: 3', 'keep_alive_count_max: 4')
    const put = await create(changed, '-f')
    expect(put.stdout, put.stderr).toMatch(/cluster_networking_config has been (created|updated)\n/)
    expect((await create(changed, '-f')).stderr).toMatch(/changed meanwhile/)
    expect(await ok('get', 'netconfig')).toMatch(/dynamic[\s\S]*keep_alive_count_max: 4/)
    expect(await ok('rm', 'netconfig')).toBe('cluster_networking_config has been reset to the defaults\n')
  })

  test('what get prints, create takes unchanged', async () => {
    await create(
      'kind: role\nversion: v3\nmetadata: {name: trip}\nspec: {allow: {logins: [a], rules: [{resources: [user], verbs: [read]}]}, deny: {node_labels: {env: "^p.*$"}}}\n---\nkind: user\nversion: v2\nmetadata: {name: trip}\nspec: {roles: [trip], traits: {constructor: [x], team: [a, b]}}\n',
    )
    for (const format of ['yaml', 'json']) {
      const before = await ok('get', 'role/trip,user/trip', `--format=${format}`)
      const again = await create(before, '-f')
      expect(again.stdout, again.stderr).toBe(`role 'trip' has been updated\nuser "trip" has been updated\n`)
      const after = await ok('get', 'role/trip,user/trip', `--format=${format}`)
      const plain = (text: string) => text.replaceAll(/"?revision"?: "?\d+"?,?/g, '')
      expect(plain(after)).toBe(plain(before))
    }
    await ok('rm', 'user/trip')
    await ok('rm', 'role/trip')
  })

  test('a role with other labels does not reach the node', async () => {
    await create(
      `kind: role\nversion: v4\nmetadata: {name: prod}\nspec: {allow: {logins: [${login}], node_labels: {env: prod}}}\n`,
    )
    await cluster.addUser('hugo', { roles: 'prod' })
    const home = await cluster.login('hugo')
    expect((await cluster.tsh(home, ['ls'])).stdout.split('\n')).toHaveLength(3)
    const refused = await cluster.tsh(home, ['ssh', `${login}@node-1`, 'true'])
    expect(refused.code).toBe(255)
    // The node does not exist for this user: in the very words that one that does not exist gets.
    const missing = await cluster.tsh(home, ['ssh', `${login}@node-9`, 'true'])
    expect(refused.stderr).toBe(missing.stderr.replace('node-9', 'node-1'))
    expect(refused.stderr).toContain('is not found')
    const denied = await ok('access', 'explain', 'hugo', `${login}@node-1`)
    expect(denied).toMatch(/Access {2}denied\nReason {2}no role allows that login on nodes with these labels\n/)
    expect(denied).toMatch(/prod +nothing +allow\.logins has .*; allow\.node_labels env=prod does not match the node\n/)
    await ok('users', 'update', 'hugo', '--set-roles=access')
    const again = await cluster.login('hugo', ['--ttl=60'])
    expect((await cluster.tsh(again, ['ssh', `${login}@node-1`, 'echo in'])).stdout).toBe('in\n')
    expect((await cluster.tsh(again, ['ls', '-v'])).stdout).toMatch(
      new RegExp(`^Node Name +Node ID +Address +Labels +Logins\\n.*\\nnode-1 .* ${login}\\n$`),
    )
    // A login that the roles do not give, on a node that the user may know.
    const other = await cluster.tsh(again, ['ssh', 'daemon@node-1', 'true'])
    expect(other.code).toBe(255)
    expect(other.stderr).toContain(
      'access denied: user "hugo" may not log in as "daemon" on node "node-1": no role allows the login "daemon"',
    )
    const allowed = JSON.parse(await ok('access', 'explain', 'hugo', `${login}@node-1`, '--format=json'))
    expect(allowed).toMatchObject([
      { allow: true, role: 'access', conditions: ['allow.logins {{internal.logins}}', 'allow.node_labels *=*'] },
    ])
    const file = join(cluster.dir, 'access.yaml')
    writeFileSync(
      file,
      `kind: role\nversion: v4\nmetadata: {name: access}\nspec: {allow: {logins: [daemon], node_labels: {env: dev}}}\n`,
    )
    const change = JSON.parse(await ok('access', 'simulate', file, '--format=json'))
    expect(change.gained).toContainEqual(expect.objectContaining({ user: 'hugo', login: 'daemon', node: 'node-1' }))
    expect(change.lost).toContainEqual(expect.objectContaining({ user: 'hugo', login, node: 'node-1' }))
    expect(change.refused).toContainEqual(expect.objectContaining({ user: 'hugo', login, node: 'node-1' }))
    expect(change.allowed).toContainEqual(expect.objectContaining({ user: 'hugo', login: 'daemon', node: 'node-1' }))
    expect(await ok('access', 'simulate', file)).toMatch(/would gain\nUser +Login +Node +Reason\n/)
  })

  test('a removed user is out at once', async () => {
    await cluster.addUser('ivan')
    const home = await cluster.login('ivan')
    expect((await cluster.tsh(home, ['ssh', `${login}@node-1`, 'true'])).code).toBe(0)
    await ok('users', 'rm', 'ivan')
    const after = await cluster.tsh(home, ['ssh', `${login}@node-1`, 'true'])
    expect(after.code).toBe(255)
  })

  test('the audit log knows who did what', async () => {
    await cluster.addUser('judy')
    const home = await cluster.login('judy')
    await cluster.tsh(home, ['ssh', `${login}@node-1`, 'echo audited'])
    await cluster.tsh(
      cluster.home('wrong'),
      ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=judy'],
      { input: 'wrong password, sorry\n' },
    )
    const events: { event: string; code: string; user?: string; command?: string }[] = JSON.parse(
      await ok('audit', 'ls', '--format=json', '--limit=1000'),
    )
    const has = (event: string, code: string) => events.some((each) => each.event === event && each.code === code)
    expect(has('user.login', 'T1000I')).toBe(true)
    expect(has('user.login', 'T1000W')).toBe(true)
    expect(has('user.create', 'T1002I')).toBe(true)
    expect(has('cert.create', 'TC000I')).toBe(true)
    expect(await ok('audit', 'ls', '--type=user.login', '--user=judy')).toMatch(/^Time +Event +Code +User +Details\n/)
    expect(JSON.stringify(events)).not.toContain(password)
  })

  test('tctl works from elsewhere with an identity file of an editor', async () => {
    await cluster.addUser('kim', { roles: 'access,editor' })
    const file = join(cluster.dir, 'kim.pem')
    await ok('auth', 'sign', '--user=kim', '--format=file', `--out=${file}`)
    const result = await run(
      bin('tctl'),
      ['-i', file, `--auth-server=127.0.0.1:${cluster.ports.auth}`, 'users', 'ls'],
      { env: cluster.env() },
    )
    expect(result.stdout, result.stderr).toContain('kim')
    await cluster.addUser('lee')
    const plain = join(cluster.dir, 'lee.pem')
    await ok('auth', 'sign', '--user=lee', '--format=file', `--out=${plain}`)
    const denied = await run(
      bin('tctl'),
      ['-i', plain, `--auth-server=127.0.0.1:${cluster.ports.auth}`, 'users', 'add', 'mallory'],
      { env: cluster.env() },
    )
    expect(denied.code).toBe(1)
    expect(denied.stderr).toMatch(/denied/)
  })

  test('without the admin identity it says where to run', async () => {
    writeFileSync(join(cluster.dir, 'elsewhere.yaml'), `teleport: {data_dir: ${cluster.dir}/elsewhere}\n`)
    const result = await run(bin('tctl'), ['-c', join(cluster.dir, 'elsewhere.yaml'), 'status'], { env: cluster.env() })
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('run tctl on the auth machine')
  })
})

describe('monitoring', () => {
  const get = (path: string) => fetch(`http://127.0.0.1:${diag}${path}`)
  test('health, readiness and metrics', async () => {
    expect((await get('/healthz')).status).toBe(200)
    expect((await get('/readyz')).status).toBe(200)
    const metrics = await (await get('/metrics')).text()
    for (const role of ['auth', 'proxy', 'node']) {
      expect(metrics).toContain(`teleport_role_up{role="${role}"} 1`)
      expect(metrics).toMatch(new RegExp(`teleport_role_resident_memory_bytes\\{role="${role}"\\} \\d+`))
    }
    expect((await get('/other')).status).toBe(404)
    expect((await fetch(`http://127.0.0.1:${diag}/healthz`, { method: 'POST' })).status).toBe(405)
  })
})

describe('access requests', () => {
  const login = (name: string, ...args: readonly string[]) =>
    new Dialog(bin('tsh'), ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, `--user=${name}`, ...args], {
      env: cluster.env({ TELEPORT_HOME: cluster.home(name) }),
    })
  const asking = async (reason: string): Promise<{ tsh: Dialog; id: string }> => {
    const tsh = login('asker', '--request-roles=deployer', `--request-reason=${reason}`)
    tsh.send(`${password}\n`)
    const [, id = ''] = await tsh.expect(/Waiting for the approval of the request ([0-9a-f-]{36}) \(deployer\)/)
    return { tsh, id }
  }
  const review = (name: string, ...args: readonly string[]) =>
    cluster.tsh(cluster.home(name), ['request', 'review', ...args])

  beforeAll(async () => {
    const made = await create(`kind: role
version: v4
metadata: {name: deployer}
spec: {allow: {logins: [deploy], node_labels: {'*': '*'}}}
---
kind: role
version: v4
metadata: {name: asker}
spec: {allow: {request: {roles: [deployer], thresholds: [{name: two, approve: 2, deny: 1}]}}}
---
kind: role
version: v4
metadata: {name: lead}
spec: {allow: {review_requests: {roles: [deployer]}}}
`)
    expect(made.code, made.stderr).toBe(0)
    await cluster.addUser('asker', { roles: 'asker,lead' })
    for (const name of ['lead1', 'lead2']) {
      await cluster.addUser(name, { roles: 'lead' })
      await cluster.login(name)
    }
  })

  test('a login waits for two others, not for its own user, and goes on by itself', async () => {
    const { tsh, id } = await asking('ticket 4711')
    expect(await ok('requests', 'ls')).toMatch(new RegExp(`${id} +asker +roles=deployer +.* PENDING +"ticket 4711"`))
    await cluster.login('asker')
    const own = await review('asker', '--approve', id)
    expect(own.code).not.toBe(0)
    expect(own.stderr).toMatch(/own request/)
    expect((await review('lead1', '--approve', id)).code).toBe(0)
    const again = await review('lead1', '--approve', id)
    expect(again.code).not.toBe(0)
    expect(JSON.parse(await ok('requests', 'ls', '--format=json'))).toContainEqual(
      expect.objectContaining({ id, state: 'pending' }),
    )
    expect((await review('lead2', '--approve', '--reason=go', id)).code).toBe(0)
    expect(await tsh.exited, tsh.output).toBe(0)
    expect(tsh.output).toMatch(/has been approved/)
    const status = await cluster.tsh(cluster.home('asker'), ['status'])
    expect(status.stdout).toMatch(/Roles: +asker, lead, deployer/)
    // Taken back: from this moment the certificate has no such role.
    await ok('requests', 'deny', id)
    expect((await cluster.tsh(cluster.home('asker'), ['ls'])).stdout).not.toContain('node-1')
  })

  test('a denied one ends the login with the reason', async () => {
    const { tsh, id } = await asking('please')
    expect((await review('lead1', '--deny', '--reason=not today', id)).code).toBe(0)
    expect(await tsh.exited).not.toBe(0)
    expect(tsh.output).toMatch(/denied.*not today/s)
    const events = await ok('audit', 'ls', '--type=access_request.create,access_request.review,access_request.update')
    expect(events).toContain('asker')
    for (const code of ['T5000I', 'T5001I', 'T5002I']) expect(events).toContain(code)
  })

  test('approved and used later, by its id', async () => {
    await cluster.login('asker')
    const made = await cluster.tsh(cluster.home('asker'), ['request', 'new', '--roles=deployer', '--nowait'])
    const [id = ''] = /[0-9a-f-]{36}/.exec(made.stdout) ?? []
    await ok('requests', 'approve', id, '--reason=on call')
    await cluster.login('asker', [`--request-id=${id}`])
    expect((await cluster.tsh(cluster.home('asker'), ['ls'])).stdout).toContain('node-1')
  })
})
