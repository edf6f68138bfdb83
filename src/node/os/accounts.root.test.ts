/** What needs several real accounts: made for the test and removed again. Only where the tests run as root. */

import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { run } from '../../ssh/testing/run.ts'
import { type TempDir, tempDir } from '../../ssh/testing/temp-dir.ts'
import { poll } from '../testing/poll.ts'
import { TestNode, type TestUser } from '../testing/test-node.ts'
import { ownDisplays } from '../testing/x-server.ts'
import { runningChildren } from './reaper.ts'

const isRoot = process.getuid?.() === 0
const hasUseradd = ((): boolean => {
  try {
    execFileSync('sh', ['-c', 'command -v useradd && command -v usermod && command -v chage'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()
const suffix = process.pid.toString(36)
const login = `tsa${suffix}`
const other = `tsb${suffix}`
const group = `tsg${suffix}`
const alice: TestUser = { name: 'alice', roles: ['dev'], logins: [login, other, 'root'] }
let directory: TempDir
let node: TestNode

const system = (program: string, ...args: string[]): string => execFileSync(program, args, { stdio: 'pipe' }).toString()
const as = (who: string, command: string, ...flags: string[]) => node.ssh(alice, who, [...flags, command])
const output = async (who: string, command: string): Promise<string> =>
  (await as(who, command)).stdout.toString().trim()

describe.runIf(isRoot && hasUseradd)('with several accounts', () => {
  beforeAll(async () => {
    system('groupadd', group)
    for (const name of [login, other]) system('useradd', '-m', '-s', '/bin/bash', name)
    system('usermod', '-a', '-G', group, login)
    directory = tempDir()
    chmodSync(directory.path, 0o755)
    node = new TestNode(directory.path)
    await node.listen()
    node.addUser(alice)
  })
  beforeEach(() => {
    node.events.length = 0
    node.permitUserEnvironment = false
    node.addRole(
      'dev',
      { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } },
      { port_forwarding: true, forward_agent: true },
    )
  })
  afterAll(async () => {
    await node.server.close()
    directory[Symbol.dispose]()
    for (const name of [login, other]) system('userdel', '-r', '-f', name)
    system('groupdel', group)
  })

  test.each(['login', 'root'] as const)(
    'O1 the groups of %s are those of the account and none of the daemon',
    async (who) => {
      const name = who === 'login' ? login : 'root'
      const sort = (ids: string) => ids.trim().split(' ').sort().join(' ')
      expect(sort(await output(name, 'id -G'))).toBe(sort(system('id', '-G', name)))
      expect(await output(name, 'id -un; id -gn')).toBe(`${name}\n${system('id', '-gn', name).trim()}`)
    },
  )

  test('O9 create_host_user makes the account once, and takes over nothing that is there', async () => {
    const made = `tsc${suffix}`
    const planted = `tsd${suffix}`
    const carol: TestUser = { name: 'carol', roles: ['maker'], logins: [made, planted] }
    node.addUser(carol)
    const rule = { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } }
    node.addRole('maker', rule, {})
    expect((await node.ssh(carol, made, ['true'])).stderr).toContain(`there is no account "${made}"`)
    node.addRole('maker', rule, { create_host_user: true })
    symlinkSync('/etc', `/home/${planted}`)
    onTestFinished(() => {
      rmSync(`/home/${planted}`, { force: true })
      system('userdel', '-r', '-f', made)
    })
    const names = await Promise.all(
      [1, 2, 3].map(async () => (await node.ssh(carol, made, ['id -un; id -Gn; pwd'])).stdout),
    )
    for (const text of names) expect(String(text)).toBe(`${made}\n${made} teleport-created\n/home/${made}\n`)
    const events = () => node.events.filter(({ event }) => event === 'host_user.create')
    expect(events()).toMatchObject([{ code: 'TU000I', user: 'carol', login: made, success: true }])
    const before = statSync('/etc')
    const refused = await node.ssh(carol, planted, ['true'])
    expect(refused.stderr).toContain(`/home/${planted} is there already`)
    expect(statSync('/etc')).toMatchObject({ uid: before.uid, gid: before.gid, mode: before.mode })
    expect(() => system('id', planted)).toThrow()
    expect(events().at(-1)).toMatchObject({ code: 'TU000E', login: planted, success: false })
  })

  test('O1 on a terminal too', async () => {
    const result = await as(login, 'id -G; tty', '-tt')
    const [groups, tty] = result.stdout.toString().split('\r\n')
    expect(groups?.split(' ').sort()).toEqual(system('id', '-G', login).trim().split(' ').sort())
    expect(tty).toMatch(/^\/dev\/pts\/\d+$/)
  })

  test('O2 no way back to root', async () => {
    const status = await output(login, 'grep -E "^(Uid|Gid|Cap(Inh|Prm|Eff|Amb))" /proc/self/status')
    const uid = system('id', '-u', login).trim()
    expect(status).toContain(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`)
    for (const cap of ['Inh', 'Prm', 'Eff', 'Amb']) expect(status).toContain(`Cap${cap}:\t0000000000000000`)
    const daemon = process.pid
    const tries = await as(
      login,
      `kill -0 ${daemon}; cat /proc/${daemon}/environ; ls /proc/${daemon}/fd; cat /etc/shadow`,
    )
    expect(tries.stdout.toString()).toBe('')
    expect(tries.code).not.toBe(0)
  })

  test('O6 the login shell of the account, its home, its umask', async () => {
    system('usermod', '-s', '/bin/dash', other)
    expect(await output(other, 'readlink /proc/$$/exe; pwd; umask')).toMatch(new RegExp(`/dash\n/home/${other}\n0022$`))
    system('usermod', '-s', '/bin/bash', other)
    writeFileSync(`/home/${other}/.profile`, 'echo from-profile\n')
    const [flag = '', config = '', host = ''] = node.openSsh(alice, other)
    const shell = await run('ssh', [flag, config, '-T', host], { input: 'shopt -q login_shell && echo login\n' })
    expect(shell.stdout.toString()).toContain('from-profile')
    expect(shell.stdout.toString()).toContain('login\n')
  })

  test('O6 a home that is missing or closed gives / and a notice', async () => {
    system('usermod', '-d', '/home/nowhere', other)
    const missing = await as(other, 'pwd')
    system('usermod', '-d', `/home/${other}`, other)
    expect(missing.stdout.toString()).toBe('/\n')
    expect(missing.stderr).toContain('Could not chdir to home directory /home/nowhere: No such file')
    chmodSync(`/home/${other}`, 0o000)
    const closed = await as(other, 'pwd')
    chmodSync(`/home/${other}`, 0o755)
    expect(closed.stdout.toString()).toBe('/\n')
    expect(closed.stderr).toContain('Permission denied')
  })

  test.each([
    { name: 'an expired account', close: ['chage', '-E', '0'], open: ['chage', '-E', '-1'], says: 'expired' },
    { name: 'a locked account', close: ['usermod', '-p', '!$6$x$y'], open: ['usermod', '-p', '*'], says: 'locked' },
    {
      name: 'a missing shell',
      close: ['usermod', '-s', '/bin/no-such-shell'],
      open: ['usermod', '-s', '/bin/bash'],
      says: 'shell',
    },
  ])('O6 $name is refused with the reason', async ({ close, open, says }) => {
    const [program = '', ...args] = close
    system(program, ...args, other)
    const result = await as(other, 'id')
    const [undo = '', ...back] = open
    system(undo, ...back, other)
    expect(result.code).toBe(255)
    expect(result.stdout.toString()).toBe('')
    expect(result.stderr).toContain(says)
    expect((await as(other, 'id')).code).toBe(0)
  })

  test('O6 a shell that lets nobody in runs and says so, as under sshd', async () => {
    system('usermod', '-s', '/bin/false', other)
    const result = await as(other, 'id')
    system('usermod', '-s', '/bin/bash', other)
    expect(result.code).toBe(1)
    expect(result.stdout.toString()).toBe('')
  })

  test("S18 root's sockets and low ports fail as they would for the user", async () => {
    const secret = directory.file('root-only')
    mkdirSync(secret, { mode: 0o700 })
    const server = createServer((socket) => socket.end('secret')).listen(`${secret}/s`)
    const [flag = '', config = '', host = ''] = node.openSsh(alice, login)
    const local = directory.file('l')
    const client = spawn('ssh', [flag, config, '-L', `${local}:${secret}/s`, host, 'echo up; cat'], { stdio: 'pipe' })
    await new Promise((resolve) => client.stdout.once('data', resolve))
    const got = await new Promise<string>((resolve) => {
      let text = ''
      connect(local)
        .on('data', (chunk) => {
          text += chunk.toString()
        })
        .on('error', () => {})
        .on('close', () => resolve(text))
    })
    expect(got).toBe('')
    client.stdin.end()
    await poll(() =>
      node.events.find((event) => event.event === 'port' && event.addr.endsWith('/s') && !event.success),
    ).toMatchObject({ error: expect.stringContaining('permission denied') })
    server.close()
    const low = await run('ssh', [
      flag,
      config,
      '-o',
      'ExitOnForwardFailure=yes',
      '-R',
      '999:127.0.0.1:1',
      host,
      'true',
    ])
    expect(low.code).toBe(255)
    const planted = await run('ssh', [
      flag,
      config,
      '-o',
      'ExitOnForwardFailure=yes',
      '-R',
      '/etc/planted:127.0.0.1:1',
      host,
      'true',
    ])
    expect(planted.code).toBe(255)
  })

  test("S17 the kernel counts a forwarded connection as the user's", async () => {
    const accepted: Socket[] = []
    const server = createServer((socket) => accepted.push(socket)).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const [flag = '', config = '', host = ''] = node.openSsh(alice, login)
    const client = run('ssh', [flag, config, '-W', `127.0.0.1:${port}`, host], { input: 'x' })
    await new Promise((resolve) => server.once('connection', resolve))
    const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
    const row = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .find((fields) => fields[2] === remote && fields[3] === '01')
    expect(row?.[7]).toBe(system('id', '-u', login).trim())
    for (const socket of accepted) socket.destroy()
    server.close()
    await client
  })

  test('S19 the agent socket is private to the user', async () => {
    const agent = directory.file('agent')
    const holder = spawn('ssh-agent', ['-D', '-a', agent], { stdio: 'ignore' })
    onTestFinished(() => void holder.kill())
    await poll(() => statSync(agent, { throwIfNoEntry: false }) !== undefined).toBe(true)
    const command = `stat -c '%a %U' $SSH_AUTH_SOCK $(dirname $SSH_AUTH_SOCK); ssh-add -l`
    const result = await node.ssh(alice, login, ['-A', command], { env: { SSH_AUTH_SOCK: agent } })
    expect(result.stdout.toString()).toBe(`600 ${login}\n700 ${login}\nThe agent has no identities.\n`)
  })

  test("S19 the cookie of a display is in a file of the user alone, and the port is the user's", async () => {
    node.addRole('dev', { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } }, { permit_x11_forwarding: true })
    node.x11 = ownDisplays()
    // The display itself is not needed, so no X server is either.
    const env = { DISPLAY: ':9987' }
    const port = '$(printf ":%04X" $((6000 + $(echo $DISPLAY | tr -dc 0-9. | cut -d. -f1))))'
    const show = `stat -c '%a %U' ~/.Xauthority; awk -v p=${port} 'substr($2, 9) == p && $4 == "0A" { print $8 }' /proc/net/tcp`
    const own = await node.ssh(alice, login, ['-Y', show], { env })
    expect(own.stdout.toString(), own.stderr).toBe(`600 ${login}\n${system('id', '-u', login).trim()}\n`)
    const foreign = await output(other, `cat /home/${login}/.Xauthority 2>&1`)
    expect(foreign).toMatch(/denied/)
  })

  test('X11 without a home directory: the reason is told, and the session goes on', async () => {
    node.addRole('dev', { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } }, { permit_x11_forwarding: true })
    system('usermod', '-d', '/nonexistent', other)
    onTestFinished(() => void system('usermod', '-d', `/home/${other}`, other))
    // The name service is asked anew after a moment.
    await poll(async () => (await output(other, 'echo $HOME')) === '/nonexistent').toBe(true)
    const result = await node.ssh(alice, other, ['-Y', 'echo "[$DISPLAY]"'], { env: { DISPLAY: ':9987' } })
    expect(result.stdout.toString()).toBe('[]\n')
    expect(result.stderr).toContain('X11 forwarding is not available: xauth failed')
    expect(node.events.find(({ event }) => event === 'x11-forward')).toMatchObject({ code: 'T3008W' })
  })

  test("S22 sftp reads with the user's rights", async () => {
    writeFileSync(`/home/${login}/private`, 'x', { mode: 0o600 })
    const [, config = ''] = node.openSsh(alice, other)
    const result = await run('sftp', ['-F', config, '-b', '-', 'node'], {
      input: `get /home/${login}/private ${directory.file('stolen')}\n`,
    })
    expect(result.code).not.toBe(0)
    expect(statSync(directory.file('stolen'), { throwIfNoEntry: false })).toBeUndefined()
  })

  test('~/.tsh/environment counts only where it is permitted, and only what the user may read', async () => {
    const path = `/home/${login}/.tsh`
    system('install', '-d', '-o', login, path)
    writeFileSync(`${path}/environment`, 'MINE=1\n')
    chmodSync(`${path}/environment`, 0o644)
    expect(await output(login, 'echo "[$MINE]"')).toBe('[]')
    node.permitUserEnvironment = true
    expect(await output(login, 'echo "[$MINE]"')).toBe('[1]')
    rmSync(`${path}/environment`)
    const secret = directory.write('secret', 'STOLEN=1\n')
    system('ln', '-s', secret, `${path}/environment`)
    expect(await output(login, 'echo "[$STOLEN]"')).toBe('[]')
  })

  test('two names of one uid have each their own groups', async () => {
    const twin = `tsc${suffix}`
    system(
      'useradd',
      '-o',
      '-u',
      system('id', '-u', other).trim(),
      '-g',
      system('id', '-g', other).trim(),
      '-G',
      group,
      '-M',
      '-s',
      '/bin/sh',
      twin,
    )
    try {
      const user: TestUser = { ...alice, logins: [twin, other] }
      node.addUser(user)
      const groups = async (name: string) =>
        (await node.ssh(user, name, ['id -G'])).stdout.toString().trim().split(' ').length
      expect(await groups(twin)).toBe(2)
      expect(await groups(other)).toBe(1)
    } finally {
      node.addUser(alice)
      system('userdel', '-f', twin)
    }
  })

  test('O5 many short sessions leave nothing behind', async () => {
    const fds = () => readdirSync('/proc/self/fd').length
    const [flag = '', config = '', host = ''] = node.openSsh(alice, login)
    const control = [
      '-o',
      'ControlMaster=auto',
      '-o',
      `ControlPath=${directory.file('mux')}`,
      '-o',
      'ControlPersist=60',
    ]
    await run('ssh', [flag, config, ...control, host, 'true'])
    const before = fds()
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        [0, 1, 2, 3, 4].map((index) =>
          run('ssh', [flag, config, ...control, ...(index === 0 ? ['-tt'] : []), host, 'true']),
        ),
      )
    }
    await poll(() => runningChildren()).toBe(0)
    await poll(() => fds()).toBeLessThanOrEqual(before)
    expect(node.context.sessions.count).toBe(0)
    await run('ssh', [flag, config, ...control, '-O', 'exit', host])
  })
})
