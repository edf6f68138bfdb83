/** `teleport.user`: auth and proxy without root, in a data directory that changes hands. */

import { chmodSync, linkSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Cluster, freePorts, login, makeCaches, temporaryDirectory } from './cluster.ts'
import { bin, run, succeed, until } from './run.ts'

const isRoot = process.getuid?.() === 0
const account = `tp-test-${process.pid}`

/** Role → process id, of the supervisor's children. */
function roles(cluster: Cluster): ReadonlyMap<string, number> {
  const parent = cluster.process?.child.pid ?? 0
  const found = new Map<string, number>()
  for (const child of readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ')) {
    const role = /--roles=(\w+)/.exec(readFileSync(`/proc/${child}/cmdline`, 'utf8'))?.[1]
    if (role !== undefined) found.set(role, Number(child))
  }
  return found
}

const idsOf = (pid: number) => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const line = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim().replaceAll(/\s+/g, ' ')
  return { uid: line('Uid'), gid: line('Gid'), groups: line('Groups'), capabilities: line('CapEff') }
}

// Only root can make an account, and only root may start processes as somebody else.
describe.skipIf(!isRoot)('teleport.user (needs root)', () => {
  let cluster: Cluster
  let home: string
  let id: string

  const data = (...names: readonly string[]) => join(cluster.dir, 'data', ...names)
  const owners = (directory: string) =>
    new Set(
      [directory, ...readdirSync(directory, { recursive: true }).map((name) => join(directory, String(name)))].map(
        (path) => String(statSync(path).uid),
      ),
    )
  const echo = async () => (await cluster.tsh(home, ['ssh', `${login}@node-1`, 'id -u'])).stdout
  const configure = (change: (text: string) => string) =>
    writeFileSync(cluster.config, change(readFileSync(cluster.config, 'utf8')))
  const start = () => run(bin('teleport'), ['start', '-c', cluster.config], { env: cluster.env() })

  beforeAll(async () => {
    await succeed('useradd', ['--system', '--no-create-home', '--user-group', '--shell', '/usr/sbin/nologin', account])
    id = (await succeed('id', ['-u', account])).trim()
    const dir = temporaryDirectory()
    chmodSync(dir, 0o711)
    makeCaches(dir)
    const log = `  log: {output: ${join(dir, 'teleport.log')}}`
    cluster = new Cluster(dir, await freePorts(), { teleport: `  user: ${account}\n${log}` })
    // Not readable for the account: the configuration holds secrets.
    chmodSync(cluster.config, 0o600)
    await cluster.start()
    await cluster.addUser('alice')
    home = await cluster.login('alice')
  })
  afterAll(async () => {
    await cluster?.remove()
    await run('userdel', [account])
  })

  test('auth and proxy run as the account with no rights of root, the node as root, and a session works', async () => {
    const processes = roles(cluster)
    for (const role of ['auth', 'proxy']) {
      const ids = idsOf(processes.get(role) ?? 0)
      expect(ids.uid).toBe(`${id} ${id} ${id} ${id}`)
      expect(ids.gid?.split(' ')).not.toContain('0')
      expect(ids.groups?.split(' ')).not.toContain('0')
      expect(ids.capabilities).toMatch(/^0+$/)
    }
    expect(idsOf(processes.get('node') ?? 0).uid).toBe('0 0 0 0')
    expect(await echo()).toBe(`${process.getuid?.()}\n`)
  })

  test('the data is theirs and closed to others; tctl of root works; the log has all of them', async () => {
    expect(statSync(data()).mode & 0o777).toBe(0o711)
    expect(statSync(data()).uid).toBe(0)
    for (const role of ['auth', 'proxy']) {
      expect(statSync(data(role)).mode & 0o777).toBe(0o700)
      expect(owners(data(role))).toEqual(new Set([id]))
    }
    expect(owners(data('node'))).toEqual(new Set(['0']))
    expect((await cluster.tctl('users', 'ls')).stdout).toContain('alice')
    const log = join(cluster.dir, 'teleport.log')
    expect(readFileSync(log, 'utf8')).toContain('auth service started')
    expect(statSync(log).uid).toBe(0)
  })

  test.each(['auth', 'proxy'])('kill -9 of %s: another one runs as the account', async (role) => {
    const before = roles(cluster).get(role) ?? 0
    process.kill(before, 'SIGKILL')
    const after = await until('another process', () => {
      const pid = roles(cluster).get(role)
      return pid === undefined || pid === before ? undefined : pid
    })
    await until('a session', async () => ((await echo()) === '0\n' ? true : undefined))
    expect(idsOf(after).uid).toBe(`${id} ${id} ${id} ${id}`)
  })

  test("without the key all is root's again, and with it the account's; nobody logs in anew", async () => {
    await cluster.stop()
    configure((text) => text.replace('  user:', '  #user:'))
    await cluster.start()
    expect(statSync(data()).mode & 0o777).toBe(0o700)
    expect(new Set([...owners(data('auth')), ...owners(data('proxy'))])).toEqual(new Set(['0']))
    expect(await echo()).toBe('0\n')
    await cluster.stop()
    configure((text) => text.replace('  #user:', '  user:'))
    await cluster.start()
    expect(new Set([...owners(data('auth')), ...owners(data('proxy'))])).toEqual(new Set([id]))
    expect(await echo()).toBe('0\n')
    await cluster.stop()
  })

  test.each([
    ['a symbolic link', (path: string, target: string) => symlinkSync(target, path)],
    ['a second name of a file', (path: string, target: string) => linkSync(target, path)],
  ])('%s in the data stays what it is, and so does what it leads to', async (_, make) => {
    configure((text) => text.replace('  user:', '  #user:'))
    const target = join(cluster.dir, 'precious')
    writeFileSync(target, 'precious')
    rmSync(data('proxy', 'spool', 'trap'), { force: true })
    make(data('proxy', 'spool', 'trap'), target)
    await succeed('chown', ['-h', `${id}`, data('proxy', 'spool', 'trap')])
    const owner = statSync(target).uid
    const result = await start()
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('spool/trap is a link')
    expect(statSync(target).uid).toBe(owner)
    rmSync(data('proxy', 'spool', 'trap'))
    configure((text) => text.replace('  #user:', '  user:'))
  })

  test.each([
    ['an account that does not exist', (text: string) => text.replace(account, 'nobody-of-that-name'), 2, /no account/],
    ['a number', (text: string) => text.replace(account, '"1000"'), 2, /cannot be the name of an account/],
    [
      'a port that only root may open',
      (text: string) => text.replace(/web_listen_addr: .*/, 'web_listen_addr: 127.0.0.1:443'),
      2,
      /proxy_service.web_listen_addr: only root may listen on port 443, and teleport.user is /,
    ],
  ])('%s is refused before anything runs', async (_, change, code, message) => {
    const text = readFileSync(cluster.config, 'utf8')
    configure(change)
    const result = await start()
    expect(result.code).toBe(code)
    expect(result.stderr).toMatch(message)
    expect(result.stderr.trim().split('\n')).toHaveLength(1)
    writeFileSync(cluster.config, text)
  })

  test('a data directory that the account cannot reach is named with the remedy', async () => {
    chmodSync(cluster.dir, 0o700)
    const result = await start()
    chmodSync(cluster.dir, 0o711)
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/cannot open .*\/data\/auth; let it pass/)
  })

  test('somebody who is neither root nor the account is told so', async () => {
    chmodSync(cluster.config, 0o644)
    configure((text) => text.replace('  log:', '  #log:'))
    const result = await run('setpriv', [
      '--reuid=65534',
      '--clear-groups',
      bin('teleport'),
      'start',
      '-c',
      cluster.config,
    ])
    expect(result.code).toBe(2)
    expect(result.stderr).toContain('start it as root or as')
  })
})
