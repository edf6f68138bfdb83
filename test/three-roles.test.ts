/** Auth, proxy and node started apart, joined with tokens and the CA pin; the file format of the reference system. */

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePorts, login, makeCaches, password, temporaryDirectory } from './cluster.ts'
import { bin, Dialog, run, succeed, until } from './run.ts'

const secret = 'a-static-token-of-enough-length'
const running: Dialog[] = []
let dir: string
let ports: Awaited<ReturnType<typeof freePorts>>
let pin: string

const env = () => ({ XDG_CACHE_HOME: join(dir, 'cache') })
const tctl = (...args: readonly string[]) => run(bin('tctl'), ['-c', join(dir, 'auth.yaml'), ...args], { env: env() })

function start(name: string, extra: readonly string[] = [], more: Readonly<Record<string, string>> = {}): Dialog {
  const process = new Dialog(bin('teleport'), ['start', '-c', join(dir, `${name}.yaml`), ...extra], {
    env: { ...env(), ...more },
  })
  running.push(process)
  return process
}

beforeAll(async () => {
  dir = temporaryDirectory()
  ports = await freePorts()
  makeCaches(dir)
  const common = (name: string) => `teleport:\n  nodename: ${name}\n  data_dir: ${dir}/${name}\n`
  const off = (...names: readonly string[]) => names.map((name) => `${name}:\n  enabled: "no"\n`).join('')
  writeFileSync(
    join(dir, 'auth.yaml'),
    `${common('auth')}auth_service:
  enabled: "yes"
  cluster_name: feat
  listen_addr: 127.0.0.1:${ports.auth}
  public_addr: localhost:${ports.auth}
  tokens:
    - "node,proxy,auth:${secret}"
  authentication:
    type: local
    second_factor: off
${off('ssh_service', 'proxy_service')}`,
  )
  writeFileSync(
    join(dir, 'proxy.yaml'),
    `${common('proxy')}  auth_servers: ["127.0.0.1:${ports.auth}"]
proxy_service:
  enabled: "yes"
  listen_addr: 127.0.0.1:${ports.proxy}
  web_listen_addr: 127.0.0.1:${ports.web}
  public_addr: localhost:${ports.web}
${off('auth_service', 'ssh_service')}`,
  )
  writeFileSync(
    join(dir, 'node.yaml'),
    `${common('node-1')}  auth_servers:
    - 127.0.0.1:${ports.auth}
ssh_service:
  enabled: "yes"
  listen_addr: 127.0.0.1:${ports.node}
  labels:
    env: test
  commands:
    - name: kernel
      command: [/bin/uname, -s]
      period: 1m0s
${off('auth_service', 'proxy_service')}`,
  )
  await start('auth').expect(/^Teleport \d/m)
  pin = /sha256:[0-9a-f]{64}/.exec((await tctl('status')).stdout)?.[0] ?? ''
})
afterAll(async () => {
  await Promise.all(running.map((process) => process.stop()))
  await succeed('rm', ['-rf', dir])
})

describe('three roles on three sets of ports', () => {
  test('a wrong pin is refused before the token is sent, once, with the reason', async () => {
    const process = start('node', [`--token=${secret}`, `--ca-pin=sha256:${'0'.repeat(64)}`])
    expect(await process.exited).toBe(1)
    expect(process.output).toMatch(/pin/i)
    expect(process.output).not.toContain(secret)
    expect(process.output.trim().split('\n')).toHaveLength(1)
  })

  test('a wrong token is refused, once, with the reason', async () => {
    const process = start('node', ['--token=not-the-right-token-at-all', `--ca-pin=${pin}`])
    expect(await process.exited).toBe(1)
    expect(process.output).toMatch(/token/i)
    expect(process.output).not.toContain('not-the-right-token-at-all')
  })

  test('without a token the message says where to get one', async () => {
    const process = start('node')
    expect(await process.exited).toBe(2)
    expect(process.output).toContain('tctl nodes add --roles=node')
  })

  test('the proxy joins with the static token', async () => {
    writeFileSync(join(dir, 'token'), `${secret}\n`, { mode: 0o600 })
    await start('proxy', [`--token=${join(dir, 'token')}`, `--ca-pin=${pin}`]).expect(/proxy +SSH on .*HTTPS on/)
  })

  test('the node joins with the line that tctl nodes add prints, by a single-use token', async () => {
    const added = await tctl('nodes', 'add', '--roles=node', '--ttl=5m')
    expect(added.stdout).toMatch(/^The invite token: \S+\nThis token will expire in [45] minutes/)
    expect(added.stdout).toContain(`   --roles=node \\\n   --token=`)
    expect(added.stdout).toContain(`   --auth-server=localhost:${ports.auth}\n`)
    const token = /The invite token: (\S+)/.exec(added.stdout)?.[1] ?? ''
    const listed = await tctl('tokens', 'ls')
    expect(listed.stdout).toMatch(/^Token +Type +Labels +Expiry Time \(UTC\)\n/)
    expect(listed.stdout).not.toContain(token)
    expect(listed.stdout).not.toContain(secret)
    await start('node', [`--ca-pin=${pin}`], { TELEPORT_SSH_TOKEN: token }).expect(/node +SSH on/)
    expect((await tctl('tokens', 'ls')).stdout).not.toContain(token.slice(0, 8))
    await until('the node in the listing', async () =>
      (await tctl('nodes', 'ls')).stdout.includes('node-1') ? true : undefined,
    )
    expect((await tctl('nodes', 'ls')).stdout).toMatch(/env=test.*kernel=Linux|kernel=Linux.*env=test/)
  })

  test('a user reaches the node, and again after every part was started anew without a token', async () => {
    const home = join(dir, 'home')
    await succeed(bin('tctl'), ['-c', join(dir, 'auth.yaml'), 'users', 'add', 'bob', login], { env: env() })
    await succeed(bin('tctl'), ['-c', join(dir, 'auth.yaml'), 'users', 'set-password', 'bob'], {
      env: env(),
      input: `${password}\n`,
    })
    const tshEnv = { ...env(), TELEPORT_HOME: home }
    const loggedIn = await run(bin('tsh'), ['login', '--insecure', `--proxy=localhost:${ports.web}`, '--user=bob'], {
      env: tshEnv,
      input: `${password}\n`,
    })
    expect(loggedIn.code, loggedIn.stderr).toBe(0)
    const hello = async () => (await run(bin('tsh'), ['ssh', `${login}@node-1`, 'echo hello'], { env: tshEnv })).stdout
    expect(
      await until('the node through the proxy', async () => ((await hello()) === 'hello\n' ? true : undefined)),
    ).toBe(true)
    await Promise.all(running.splice(0).map((process) => process.stop()))
    const [auth, proxy, node] = [start('auth'), start('proxy'), start('node')]
    await Promise.all([auth.expect(/^Teleport \d/m), proxy.expect(/proxy +SSH on/), node.expect(/node +SSH on/)])
    expect(await hello()).toBe('hello\n')
  })

  test('keys are private and the token is in no file', async () => {
    for (const name of ['auth/auth', 'proxy/proxy', 'node-1/node']) {
      expect(statSync(join(dir, name)).mode & 0o777).toBe(0o700)
      expect(statSync(join(dir, name, 'identity.json')).mode & 0o777).toBe(0o600)
      expect(readFileSync(join(dir, name, 'identity.json'), 'utf8')).not.toContain(secret)
    }
  })
})
