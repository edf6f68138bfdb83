/**
 * Locks at a running cluster of three parts: what is refused, what ends and how soon, with what words; with the auth server gone; and
 * that it is all lifted again.
 */

import { chmodSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { spawn } from 'node-pty'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deleteLock } from '../src/api/routes.ts'
import { Admin, type EventQuery } from './admin.ts'
import { freePorts, login, makeCaches, type Ports, password, temporaryDirectory } from './cluster.ts'
import { bin, cleanEnv, Dialog, type Result, run, succeed, until } from './run.ts'

type Part = 'auth' | 'proxy' | 'node'

/** Milliseconds that the requirement allows. */
const soon = 5_000
const secret = 'a-static-token-of-enough-length'
const running = new Map<Part, Dialog>()
let dir: string
let ports: Ports
let admin: Admin

const env = () => ({ XDG_CACHE_HOME: join(dir, 'cache') })
const config = (name: string) => join(dir, `${name}.yaml`)
const tctl = (...args: readonly string[]) => run(bin('tctl'), ['-c', config('auth'), ...args], { env: env() })
const home = (user: string) => join(dir, `home-${user}`)
const tsh = (user: string, args: readonly string[], input = ''): Promise<Result> =>
  run(bin('tsh'), args, { env: { ...env(), TELEPORT_HOME: home(user) }, input })
const logIn = (user: string) =>
  tsh(user, ['login', '--insecure', `--proxy=localhost:${ports.web}`, `--user=${user}`, '--ttl=2h'], `${password}\n`)
const sshConfig = (user: string) => join(dir, `ssh_config-${user}`)
const ssh = (user: string, args: readonly string[]) =>
  new Dialog('ssh', ['-F', sshConfig(user), '-o', 'BatchMode=yes', ...args], { env: env() })
const node = `${login}@node-1.feat`

/** Makes a lock; its id, and when it was acknowledged. */
async function lock(...args: readonly string[]): Promise<{ readonly id: string; readonly at: number }> {
  const made = await tctl('lock', ...args, '--format=json')
  expect(made.code, made.stderr).toBe(0)
  return { id: String(JSON.parse(made.stdout).id), at: performance.now() }
}
const lift = async (id: string) => await (await admin.api()).call(deleteLock, { params: { id } })

/** Milliseconds from the acknowledged lock to the end of each. */
async function endsWithin(at: number, what: Readonly<Record<string, Promise<unknown>>>): Promise<void> {
  const took: Record<string, number> = {}
  await Promise.all(
    Object.entries(what).map(async ([name, ended]) => {
      await ended
      took[name] = Math.max(0, Math.round(performance.now() - at))
    }),
  )
  console.info(`ended after the lock, ms: ${JSON.stringify(took)}`)
  for (const [name, ms] of Object.entries(took)) expect(ms, name).toBeLessThan(soon)
}

const events = (type: EventQuery['type']) => admin.events({ type })

/** A connection that has been through the forward and back. */
function talking(port: number): Promise<Socket | undefined> {
  const socket = connect({ host: '127.0.0.1', port })
  return new Promise((resolve) => {
    socket.once('data', () => resolve(socket))
    socket.once('error', () => resolve(undefined))
    socket.once('close', () => resolve(undefined))
    socket.write('there')
  })
}

/** `tsh ssh` in a terminal of its own. */
async function terminal(user: string): Promise<{ output: () => string; exited: Promise<number> }> {
  let output = ''
  const pty = spawn(bin('tsh'), ['ssh', '-t', `${login}@node-1`, 'PS1="ready> " exec bash --norc --noprofile -i'], {
    name: 'xterm-256color',
    cols: 100,
    rows: 30,
    env: cleanEnv({ ...env(), TERM: 'xterm-256color', TELEPORT_HOME: home(user) }),
  })
  pty.onData((text) => {
    output += text
  })
  const exited = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)))
  await until(
    'a prompt',
    () => (output.includes('ready> ') ? true : undefined),
    20_000,
    () => output,
  )
  return { output: () => output, exited }
}

async function start(part: Part): Promise<void> {
  const process = new Dialog(bin('teleport'), ['start', '-c', config(part)], { env: env() })
  running.set(part, process)
  await process.expect(/^Teleport \d/m, 120_000)
}

beforeAll(async () => {
  dir = temporaryDirectory()
  ports = await freePorts()
  makeCaches(dir)
  const off = (...names: readonly string[]) => names.map((name) => `${name}: {enabled: no}\n`).join('')
  const common = (name: string) => `teleport:\n  nodename: ${name}\n  data_dir: ${dir}/${name}\n`
  const joins = `  auth_servers: ["127.0.0.1:${ports.auth}"]\n  auth_token: ${secret}\n`
  const files = {
    auth: `${common('auth')}auth_service:
  cluster_name: feat
  listen_addr: 127.0.0.1:${ports.auth}
  tokens: ["node,proxy:${secret}"]
  authentication: {type: local, second_factor: off}
${off('ssh_service', 'proxy_service')}`,
    proxy: `${common('proxy')}${joins}proxy_service:
  listen_addr: 127.0.0.1:${ports.proxy}
  web_listen_addr: 127.0.0.1:${ports.web}
  public_addr: localhost:${ports.web}
  ssh_public_addr: localhost:${ports.proxy}
${off('auth_service', 'ssh_service')}`,
    node: `${common('node-1')}${joins}ssh_service:
  listen_addr: 127.0.0.1:${ports.node}
${off('auth_service', 'proxy_service')}`,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(config(name), text)
  for (const name of Object.keys(files)) chmodSync(config(name), 0o600)
  await start('auth')
  await Promise.all([start('proxy'), start('node')])
  admin = new Admin(join(dir, 'auth'), ports.auth)
  for (const [user, roles] of [
    ['alice', 'access,auditor'],
    ['bob', 'access'],
  ] as const) {
    await admin.addUser(user, { roles })
    const loggedIn = await logIn(user)
    expect(loggedIn.code, loggedIn.stderr).toBe(0)
    writeFileSync(sshConfig(user), (await tsh(user, ['config'])).stdout)
  }
  await until('a session', async () => {
    const said = await tsh('bob', ['ssh', `${login}@node-1`, 'echo first'])
    return said.stdout === 'first\n' ? true : undefined
  })
}, 400_000)
afterAll(async () => {
  await admin?.leave()
  await Promise.all([...running.values()].map((process) => process.stop()))
  await succeed('rm', ['-rf', dir])
})

test('V18 a locked user: sessions, forwards and streams of the API end within 5 s, nothing is let in, and it is lifted again', async () => {
  const [tshShell, plain] = [await terminal('alice'), ssh('alice', [node, 'echo begun; cat'])]
  await plain.expect(/begun/)
  const { node: forwarded } = await freePorts()
  const target = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  await new Promise((resolve) => target.once('listening', resolve))
  const bound = target.address()
  const to = typeof bound === 'object' && bound !== null ? bound.port : 0
  const forward = ssh('alice', ['-N', '-o', 'ExitOnForwardFailure=yes', '-L', `${forwarded}:127.0.0.1:${to}`, node])
  const through = await until('the forward', () => talking(forwarded))
  const throughEnded = new Promise<void>((resolve) => through.once('close', () => resolve()))
  const bystander = ssh('bob', [node, 'echo begun; cat'])
  await bystander.expect(/begun/)

  const { id, at } = await lock('--user=alice', '--message=laptop stolen')
  await endsWithin(at, {
    'tsh ssh': tshShell.exited,
    ssh: plain.exited,
    'ssh -L': forward.exited,
    'a connection in it': throughEnded,
  })
  const words = 'the user "alice" is locked: laptop stolen'
  expect(tshShell.output()).toContain(words)
  expect(plain.output).toContain(words)
  expect(forward.output).toContain(words)

  // The person hears why, everywhere.
  const refusals = [
    await tsh('alice', ['ssh', `${login}@node-1`, 'true']),
    await tsh('alice', ['ls']),
    await logIn('alice'),
    await run('ssh', ['-F', sshConfig('alice'), '-o', 'BatchMode=yes', node, 'true'], { env: env() }),
    await tctl('auth', 'sign', '--user=alice', '--format=file', `--out=${join(dir, 'alice.pem')}`),
  ]
  for (const { code, stderr } of refusals) {
    expect(code).not.toBe(0)
    expect(stderr).toContain(words)
  }
  bystander.send('still here\n')
  await bystander.expect(/still here/)
  expect(await bystander.stop()).not.toBe(undefined)

  const table = await tctl('get', 'locks', '--format=text')
  expect(table.stdout).toMatch(/^ID +Target +Message +Expires *\n-+ +-+ +-+ +-+ *\n/)
  expect(table.stdout).toMatch(new RegExp(`^${id} +user="alice" +laptop stolen +never`, 'm'))
  const ends = await until('the events', async () => {
    const found = (await events('client.disconnect')).filter(({ server_hostname: host }) => host === 'node-1')
    return found.length >= 3 ? found : undefined
  })
  for (const end of ends) expect(end).toMatchObject({ code: 'T3006I', user: 'alice', reason: words })
  expect((await events('lock.created'))[0]).toMatchObject({ code: 'TLK00I', name: id, target: { user: 'alice' } })
  expect((await events('user.login'))[0]).toMatchObject({ code: 'T1000W', user: 'alice', error: words })

  expect((await tctl('rm', `lock/${id}`)).code).toBe(0)
  expect((await events('lock.deleted'))[0]).toMatchObject({ code: 'TLK01I', name: id })
  await until('alice again', async () =>
    (await tsh('alice', ['ssh', `${login}@node-1`, 'echo back'])).stdout === 'back\n' ? true : undefined,
  )
  expect((await logIn('alice')).code).toBe(0)
  target.close()
})

test('a locked login, node or role; a lock that ends by itself', async () => {
  const works = async () => (await tsh('bob', ['ssh', `${login}@node-1`, 'echo in'])).stdout === 'in\n'
  for (const [flag, words] of [
    [`--login=${login}`, `the login "${login}" is locked`],
    ['--node=node-1', /the node "[0-9a-f-]{36}" is locked/],
    ['--role=access', 'the role "access" is locked'],
  ] as const) {
    const session = ssh('bob', [node, 'echo begun; cat'])
    await session.expect(/begun/)
    const { id, at } = await lock(flag)
    await endsWithin(at, { [flag]: session.exited })
    expect(session.output).toMatch(words)
    const refused = await tsh('bob', ['ssh', `${login}@node-1`, 'true'])
    expect(refused.stderr).toMatch(words)
    await lift(id)
    await until('bob again', async () => ((await works()) ? true : undefined))
  }
  // On a slow machine a short lock has ended before anybody could be refused.
  let seconds = 2
  const refused = async (): Promise<boolean> => {
    seconds *= 2
    await lock('--user=bob', `--expires=${new Date(Date.now() + seconds * 1000).toISOString()}`)
    return !(await works())
  }
  await until('the lock', async () => ((await refused()) ? true : undefined))
  await until('its end', async () => ((await works()) ? true : undefined), seconds * 1000 + 60_000)
})

test('with auth gone, what the caches know goes on to hold', async () => {
  const { id } = await lock('--user=alice', '--message=held')
  await until('the lock', async () =>
    (await tsh('alice', ['ssh', `${login}@node-1`, 'true'])).stderr.includes('held') ? true : undefined,
  )
  await running.get('auth')?.stop()
  const refused = () => tsh('alice', ['ssh', `${login}@node-1`, 'true'])
  expect((await refused()).stderr).toContain('the user "alice" is locked: held')
  expect((await tsh('bob', ['ssh', `${login}@node-1`, 'echo in'])).stdout).toBe('in\n')
  // From the files alone.
  await Promise.all([running.get('node')?.stop(), running.get('proxy')?.stop()])
  await Promise.all([start('node'), start('proxy')])
  expect((await refused()).stderr).toContain('the user "alice" is locked: held')
  expect((await tsh('bob', ['ssh', `${login}@node-1`, 'echo in'])).stdout).toBe('in\n')
  await start('auth')
  await lift(id)
  await until('alice again', async () => ((await refused()).code === 0 ? true : undefined), 120_000)
}, 300_000)
