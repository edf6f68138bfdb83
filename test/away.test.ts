/** Three parts started apart, one of which is gone, frozen, or out of file descriptors: what goes on, what is said, what comes back. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Admin } from './admin.ts'
import { freePorts, login, makeCaches, type Ports, password, temporaryDirectory } from './cluster.ts'
import { bin, Dialog, type Result, run, succeed, until } from './run.ts'

type Part = 'auth' | 'proxy' | 'node'

const secret = 'a-static-token-of-enough-length'
const running = new Map<Part, Dialog>()
let dir: string
let ports: Ports
let admin: Admin

const env = () => ({ XDG_CACHE_HOME: join(dir, 'cache') })
const home = () => join(dir, 'home')
const config = (name: string) => join(dir, `${name}.yaml`)
const tctl = (...args: readonly string[]) => run(bin('tctl'), ['-c', config('auth'), ...args], { env: env() })
const tsh = (args: readonly string[], input = '', where = home()): Promise<Result> =>
  run(bin('tsh'), args, { env: { ...env(), TELEPORT_HOME: where }, input })
const logIn = (where: string) =>
  tsh(['login', '--insecure', `--proxy=localhost:${ports.web}`, '--user=alice'], `${password}\n`, where)

/** `teleport start` of one part, until it listens. `before` goes in front, in a shell. */
async function start(part: Part, before = ''): Promise<void> {
  const command = `${before}exec "$0" "$@"`
  const process = new Dialog('sh', ['-c', command, bin('teleport'), 'start', '-c', config(part)], { env: env() })
  running.set(part, process)
  await process.expect(/^Teleport \d/m)
}

const pidOf = (part: Part): number => running.get(part)?.child.pid ?? 0

/** The role process below the supervisor. */
function rolePid(part: Part): number {
  const parent = pidOf(part)
  const [child = 0] = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').map(Number)
  return child
}

/** Supervisor and role at once: nobody is left to start anything again. */
async function kill(part: Part): Promise<void> {
  const [supervisor, role] = [running.get(part), rolePid(part)]
  process.kill(pidOf(part), 'SIGKILL')
  process.kill(role, 'SIGKILL')
  await supervisor?.exited
}

/** Plain `ssh` with what `tsh config` printed. */
const ssh = (...args: readonly string[]) =>
  run('ssh', ['-F', join(dir, 'ssh_config'), '-o', 'BatchMode=yes', `${login}@node-1.feat`, ...args])
const say = (word: string) => tsh(['ssh', `${login}@node-1`, `echo ${word}`])

async function frozen<T>(part: Part, work: () => Promise<T>): Promise<T> {
  const pid = rolePid(part)
  process.kill(pid, 'SIGSTOP')
  try {
    return await work()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

beforeAll(async () => {
  dir = temporaryDirectory()
  ports = await freePorts()
  makeCaches(dir)
  const off = (...names: readonly string[]) => names.map((name) => `${name}: {enabled: no}\n`).join('')
  const common = (name: string) => `teleport:\n  nodename: ${name}\n  data_dir: ${dir}/${name}\n`
  const joins = `  auth_servers: ["127.0.0.1:${ports.auth}"]\n  auth_token: ${secret}\n`
  writeFileSync(
    config('auth'),
    `${common('auth')}auth_service:
  cluster_name: feat
  listen_addr: 127.0.0.1:${ports.auth}
  tokens: ["node,proxy:${secret}"]
  authentication: {type: local, second_factor: off}
${off('ssh_service', 'proxy_service')}`,
  )
  writeFileSync(
    config('proxy'),
    `${common('proxy')}${joins}proxy_service:
  listen_addr: 127.0.0.1:${ports.proxy}
  web_listen_addr: 127.0.0.1:${ports.web}
  public_addr: localhost:${ports.web}
  ssh_public_addr: localhost:${ports.proxy}
${off('auth_service', 'ssh_service')}`,
  )
  writeFileSync(
    config('node'),
    `${common('node-1')}${joins}ssh_service:
  listen_addr: 127.0.0.1:${ports.node}
${off('auth_service', 'proxy_service')}`,
  )
  for (const name of ['auth', 'proxy', 'node']) chmodSync(config(name), 0o600)
  await start('auth')
  await Promise.all([start('proxy'), start('node')])
  admin = new Admin(join(dir, 'auth'), ports.auth)
  await admin.addUser('alice')
  const loggedIn = await logIn(home())
  expect(loggedIn.code, loggedIn.stderr).toBe(0)
  writeFileSync(join(dir, 'ssh_config'), (await tsh(['config'])).stdout)
  await until('a session', async () => ((await say('first')).stdout === 'first\n' ? true : undefined))
  expect(await ssh('echo plain')).toMatchObject({ code: 0, stdout: 'plain\n' })
})
afterAll(async () => {
  await admin?.leave()
  await Promise.all([...running.values()].map((process) => process.stop()))
  await succeed('rm', ['-rf', dir])
})

/** Every event of a kind. */
const events = (type: string) => admin.events({ type })

describe('frozen', () => {
  const oneLine = (result: Result) => {
    expect(result.stdout).toBe('')
    expect(result.stderr.trim().split('\n')).toHaveLength(1)
    return result
  }
  const impatient = () => tsh(['ssh', '-o', 'ConnectTimeout=1', `${login}@node-1`, 'true'])

  test('a proxy: the client gives up and names it; it goes on where it stood', async () => {
    const { code, stderr } = oneLine(await frozen('proxy', impatient))
    expect(code).toBe(255)
    expect(stderr).toBe(`tsh: cannot reach the proxy at localhost:${ports.proxy}: no answer within 1 s\n`)
    expect(await say('thawed')).toMatchObject({ code: 0, stdout: 'thawed\n' })
  })

  test('auth and a node: both are named, and go on where they stood', async () => {
    const [status, session] = await frozen('auth', async () => {
      expect(await say('alive')).toMatchObject({ code: 0, stdout: 'alive\n' })
      expect(await ssh('echo plain')).toMatchObject({ code: 0, stdout: 'plain\n' })
      return await frozen('node', () => Promise.all([tctl('status'), impatient()]))
    })
    expect(oneLine(status).code).toBe(1)
    expect(status.stderr).toContain(`127.0.0.1:${ports.auth}: no answer within 10 s`)
    expect(oneLine(session).code).toBe(255)
    expect(session.stderr).toContain(`"node-1" at 127.0.0.1:${ports.node} did not answer in time`)
    expect((await tctl('status')).code).toBe(0)
    expect(await say('thawed')).toMatchObject({ code: 0, stdout: 'thawed\n' })
  })
})

describe('auth is gone', () => {
  const marks = ['one', 'two', 'three', 'four'].map((word) => `echo gone-${word}`)

  test('valid certificates still open nodes, a running session goes on, logging in fails fast and says why', async () => {
    const session = new Dialog(bin('tsh'), ['ssh', `${login}@node-1`, 'echo begun; read line; echo "got $line"'], {
      env: { ...env(), TELEPORT_HOME: home() },
    })
    await session.expect(/begun/)
    await kill('auth')
    expect(await tsh(['ssh', `${login}@node-1`, marks[0] ?? ''])).toMatchObject({ code: 0, stdout: 'gone-one\n' })
    expect(await ssh(marks[1] ?? '')).toMatchObject({ code: 0, stdout: 'gone-two\n' })
    session.send('still here\n')
    await session.expect(/got still here/)
    expect(await session.exited).toBe(0)
    const refused = await logIn(join(dir, 'home-refused'))
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/^tsh: .*auth server/m)
  })

  test('a node and a proxy that are killed start from what they last knew', async () => {
    await Promise.all([kill('node'), kill('proxy')])
    await Promise.all([start('node'), start('proxy')])
    expect(await tsh(['ssh', `${login}@node-1`, marks[2] ?? ''])).toMatchObject({ code: 0, stdout: 'gone-three\n' })
    expect(await ssh(marks[3] ?? '')).toMatchObject({ code: 0, stdout: 'gone-four\n' })
  })

  test('once it is back, it hears of everything exactly once, in order', async () => {
    await start('auth')
    const heard = await until(
      'the events',
      async () => {
        const commands = (await events('exec'))
          .map(({ command }) => String(command))
          .filter((text) => /gone-/.test(text))
        return commands.length >= marks.length ? commands : undefined
      },
      40_000,
    )
    expect([marks, [...marks].reverse()]).toContainEqual(heard)
    const ids = (await events('exec,session.start,session.end,client.disconnect,auth')).map(({ uid }) => uid)
    expect(new Set(ids).size).toBe(ids.length)
    // The proxy may hear of it some seconds after the node.
    await until('a login', async () => ((await logIn(join(dir, 'home-again'))).code === 0 ? true : undefined))
  })
})

describe('an auth server that slams the door', () => {
  test('is asked again ever more slowly, by its address, until somebody stops it', async () => {
    let attempts = 0
    const server: Server = createServer((socket) => {
      attempts++
      socket.destroy()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const bound = server.address()
    const where = `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
    // One that has not joined yet, and one that has.
    const text = readFileSync(config('node'), 'utf8')
    const moved = text.replace(`127.0.0.1:${ports.auth}`, where)
    const { node } = await freePorts()
    writeFileSync(
      config('fresh'),
      moved.replace(`${dir}/node-1`, `${dir}/fresh`).replace(`127.0.0.1:${ports.node}`, `127.0.0.1:${node}`),
      { mode: 0o600 },
    )
    const began = performance.now()
    const fresh = new Dialog(bin('teleport'), ['start', '-c', config('fresh')], { env: env() })
    await fresh.expect(/trying again in 2 s/)
    expect(fresh.output).toContain(where)
    // Two, or more on a machine that shows us the line late.
    expect(attempts).toBeGreaterThan(1)
    await running.get('node')?.stop()
    writeFileSync(config('node'), moved, { mode: 0o600 })
    await start('node')
    await running.get('node')?.expect(/cannot follow the cluster/)
    await until('a few attempts', () => (attempts >= 5 ? true : undefined))
    const seconds = (performance.now() - began) / 1000
    // Doubling from 0.1 s to 5 s at least, whoever in the node asks: never more than a few in a second.
    expect(attempts).toBeLessThan(8 + 2 * seconds)
    expect(running.get('node')?.output).toContain(where)
    expect(await say('without-auth')).toMatchObject({ code: 0, stdout: 'without-auth\n' })
    expect(await fresh.stop()).toBe(0)
    await running.get('node')?.stop()
    writeFileSync(config('node'), text, { mode: 0o600 })
    await start('node')
    server.close()
  })
})

describe('file descriptors run out at the proxy', () => {
  test('new connections are refused, running ones live, and it recovers', async () => {
    await running.get('proxy')?.stop()
    await start('proxy', 'ulimit -n 128; ')
    const session = new Dialog(bin('tsh'), ['ssh', `${login}@node-1`, 'echo begun; read line; echo "got $line"'], {
      env: { ...env(), TELEPORT_HOME: home() },
    })
    await session.expect(/begun/)
    const role = rolePid('proxy')
    const idle: Socket[] = []
    const open = () =>
      new Promise<void>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port: ports.web })
        idle.push(socket)
        socket.once('connect', () => resolve())
        socket.on('error', () => resolve())
      })
    for (let count = 0; count < 150; count++) await open()
    const refused = await tsh(['ssh', '-o', 'ConnectTimeout=3', `${login}@node-1`, 'true'])
    expect(refused.code).toBe(255)
    expect(refused.stderr).toContain(`cannot reach the proxy at localhost:${ports.proxy}`)
    expect(refused.stderr.trim().split('\n')).toHaveLength(1)
    session.send('still here\n')
    await session.expect(/got still here/)
    expect(await session.exited).toBe(0)
    for (const socket of idle) socket.destroy()
    await until('a session', async () => ((await say('again')).stdout === 'again\n' ? true : undefined))
    expect(rolePid('proxy')).toBe(role)
  })
})
