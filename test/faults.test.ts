/** Processes that are killed, parts that are away, ports and directories that are taken. */

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { getUser } from '../src/api/routes.ts'
import { type Cluster, freePorts, login, startCluster } from './cluster.ts'
import { bin, Dialog, run, until } from './run.ts'

let cluster: Cluster
let home: string

beforeAll(async () => {
  cluster = await startCluster({ teleport: '' })
  await cluster.addUser('alice')
  home = await cluster.login('alice')
})
afterAll(async () => {
  await cluster.remove()
})

const echo = async () => await cluster.tsh(home, ['ssh', `${login}@node-1`, 'echo alive'])

/** Child processes of the supervisor by role. */
function rolePids(role: string): readonly number[] {
  const parent = cluster.process?.child.pid ?? 0
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').map(Number)
  return children.filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes(`--roles=${role}`))
}

function rolePid(role: string): number {
  const [pid] = rolePids(role)
  if (pid === undefined) throw new Error(`no process of ${role}`)
  return pid
}

async function killed(role: string): Promise<void> {
  const pid = rolePid(role)
  process.kill(pid, 'SIGKILL')
  await until(`another ${role} process`, () => {
    try {
      return rolePid(role) === pid ? undefined : true
    } catch {
      return undefined
    }
  })
}

describe('kill -9', () => {
  test.each(['node', 'proxy', 'auth'])('of the %s process: it comes back and sessions work', async (role) => {
    await killed(role)
    await until('a session', async () => ((await echo()).stdout === 'alive\n' ? true : undefined))
    // Sessions need no auth process, this does: the new one may still be starting.
    await until('the users', async () =>
      (await cluster.admin.answer((api) => api.call(getUser, { params: { name: 'alice' } }))) ? true : undefined,
    )
  })

  test('of everything: what was acknowledged is there after the next start', async () => {
    await cluster.addUser('carol')
    const supervisor = cluster.process
    for (const role of ['auth', 'proxy', 'node']) process.kill(rolePid(role), 'SIGKILL')
    await supervisor?.stop('SIGKILL')
    await cluster.start()
    expect((await cluster.tctl('users', 'ls')).stdout).toContain('carol')
    expect((await echo()).stdout).toBe('alive\n')
  })

  test('of the supervisor alone: its ports are free for the next one', async () => {
    await cluster.process?.stop('SIGKILL')
    await until('free ports', async () => {
      await cluster.start().catch(() => undefined)
      return cluster.process === undefined ? undefined : true
    })
    expect((await echo()).stdout).toBe('alive\n')
  })
})

describe('auth is away', () => {
  test('holders of certificates get in; login says what is wrong', async () => {
    const pid = rolePid('auth')
    process.kill(pid, 'SIGSTOP')
    try {
      expect((await echo()).stdout).toBe('alive\n')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })

  test('an auth server that cannot be reached is named', async () => {
    const { auth } = await freePorts()
    const result = await cluster.tctl('status', `--auth-server=127.0.0.1:${auth}`)
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('auth server')
    expect(result.stderr.trim().split('\n')).toHaveLength(1)
  })
})

describe('HUP', () => {
  test('starts new processes, keeps a running session, and serves on', async () => {
    const before = rolePid('node')
    const session = new Dialog(bin('tsh'), ['ssh', `${login}@node-1`, 'echo begun; read line; echo "got $line"'], {
      env: cluster.env({ TELEPORT_HOME: home }),
    })
    await session.expect(/begun/)
    const running = cluster.process
    running?.child.kill('SIGHUP')
    await running?.expect(/INFO {2}reloaded/)
    expect(running?.output).not.toContain('did not start')
    expect(rolePids('node').filter((pid) => pid !== before)).toHaveLength(1)
    await until('a session', async () => ((await echo()).stdout === 'alive\n' ? true : undefined))
    expect(rolePids('node')).toContain(before)
    session.send('still here\n')
    await session.expect(/got still here/)
    expect(await session.exited).toBe(0)
  })
})

describe('what stands in the way of a start', () => {
  const write = async (name: string, text: string) => {
    const path = join(cluster.dir, name)
    writeFileSync(path, text)
    return path
  }
  const start = (config: string) => run(bin('teleport'), ['start', '-c', config], { env: cluster.env() })

  test('a port in use is named, with its key', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const other = await freePorts()
    const config = await write(
      'port.yaml',
      `teleport: {nodename: n, data_dir: ${cluster.dir}/port}\nauth_service: {listen_addr: "127.0.0.1:${port}"}\nproxy_service: {listen_addr: "127.0.0.1:${other.proxy}", web_listen_addr: "127.0.0.1:${other.web}"}\nssh_service: {listen_addr: "127.0.0.1:${other.node}"}\n`,
    )
    const result = await start(config)
    server.close()
    expect(result.code).toBe(1)
    expect(result.stderr).toContain(`127.0.0.1:${port}`)
    expect(result.stderr).toContain('auth_service.listen_addr')
    expect(result.stderr.trim().split('\n')).toHaveLength(1)
  })

  test('a data directory that others can read is refused with the remedy', async () => {
    mkdirSync(join(cluster.dir, 'loose'))
    chmodSync(join(cluster.dir, 'loose'), 0o755)
    const config = await write('loose.yaml', `teleport: {nodename: n, data_dir: ${cluster.dir}/loose}\n`)
    const result = await start(config)
    expect(result.code).not.toBe(0)
    expect(result.stderr).toContain(`chmod 700 ${cluster.dir}/loose`)
  })

  test('a second teleport on the same data is refused', async () => {
    const result = await start(cluster.config)
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('another teleport is running with the data directory')
    expect((await echo()).stdout).toBe('alive\n')
  })
})
