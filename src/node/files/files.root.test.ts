/** File transfer between real accounts: the kernel decides about each file, as if the user had a shell. Only where the tests run as root. */

import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type RunResult, run } from '../../ssh/testing/run.ts'
import { type TempDir, tempDir } from '../../ssh/testing/temp-dir.ts'
import { poll } from '../testing/poll.ts'
import { TestNode, type TestUser } from '../testing/test-node.ts'

const canMakeUsers = ((): boolean => {
  try {
    execFileSync('sh', ['-c', 'test "$(id -u)" = 0 && command -v useradd && command -v setpriv'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()
const suffix = process.pid.toString(36)
const [alice, bob, group] = [`tfa${suffix}`, `tfb${suffix}`, `tfg${suffix}`]
const user: TestUser = { name: 'alice', roles: ['dev'], logins: [alice, bob, 'root'] }
let directory: TempDir
let node: TestNode

const system = (program: string, ...args: string[]): string => execFileSync(program, args, { stdio: 'pipe' }).toString()
const sftp = (login: string, commands: readonly string[]): Promise<RunResult> => {
  const [flag = '', config = ''] = node.openSsh(user, login)
  return run('sftp', ['-q', flag, config, '-b', '-', 'node'], { input: `${commands.join('\n')}\n` })
}

describe.runIf(canMakeUsers)('files of several accounts', () => {
  beforeAll(async () => {
    system('groupadd', group)
    for (const name of [alice, bob]) system('useradd', '-m', '-s', '/bin/bash', name)
    system('usermod', '-a', '-G', group, bob)
    for (const name of [alice, bob]) chmodSync(`/home/${name}`, 0o755)
    directory = tempDir()
    chmodSync(directory.path, 0o755)
    node = new TestNode(directory.path)
    await node.listen()
    node.addUser(user)
    node.addRole('dev', { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } })
  })
  beforeEach(() => {
    node.events.length = 0
  })
  afterAll(async () => {
    await node.server.close()
    directory[Symbol.dispose]()
    for (const name of [alice, bob]) system('userdel', '-r', '-f', name)
    system('groupdel', group)
  })

  test('S22 a file of alice stays closed to bob, by name, through .. and through links', async () => {
    writeFileSync(`/home/${alice}/secret`, 'secret', { mode: 0o600 })
    system('chown', alice, `/home/${alice}/secret`)
    const target = directory.file('stolen')
    const result = await sftp(bob, [
      `-symlink /home/${alice}/secret link`,
      `-get /home/${alice}/secret ${target}`,
      `-get ../${alice}/secret ${target}`,
      `-get link ${target}`,
      `-rename /home/${alice}/secret mine`,
      `-ln /home/${alice}/secret hard`,
      `-rm /home/${alice}/secret`,
      `-chmod 666 /home/${alice}/secret`,
      `-put ${directory.path}/none /home/${alice}/new`,
      '-get /etc/shadow shadow',
    ])
    expect(result.code).toBe(0)
    expect(existsSync(target)).toBe(false)
    expect(existsSync(`/home/${bob}/hard`)).toBe(false)
    expect(readFileSync(`/home/${alice}/secret`, 'utf8')).toBe('secret')
    expect(statSync(`/home/${alice}/secret`).mode & 0o777).toBe(0o600)
    await poll(() => node.events.some(({ event }) => event === 'session.end')).toBe(true)
    const refused = node.events.filter((event) => event.event === 'sftp.open' && !event.success)
    expect(refused.map((event) => 'path' in event && event.path)).toEqual([
      `/home/${alice}/secret`,
      `/home/${alice}/secret`,
      `/home/${bob}/link`,
      '/etc/shadow',
    ])
  })

  test('O1 O2 the process has the ids and groups of the account and none of root, and its owner cannot look into it', async () => {
    const [flag = '', config = ''] = node.openSsh(user, bob)
    const command = `sftp -q ${flag} ${config} node`
    const enough = directory.file('enough')
    const session = run('sh', ['-c', `(echo pwd; until test -e ${enough}; do sleep 0.1; done) | ${command}`])
    const find = (): string | undefined =>
      readdirSync('/proc').find((pid) => {
        try {
          return (
            /^\d+$/.test(pid) &&
            readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('sftp-server\0') &&
            readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(bob)
          )
        } catch {
          return false
        }
      })
    const uid = system('id', '-u', bob).trim()
    const status = (): string => readFileSync(`/proc/${find()}/status`, 'latin1')
    await poll(() => (find() === undefined ? '' : status())).toContain(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`)
    const pid = find() ?? ''
    // The last step of becoming the user is the directory.
    await poll(() => system('readlink', `/proc/${pid}/cwd`).trim()).toBe(`/home/${bob}`)
    const gid = system('id', '-g', bob).trim()
    const sorted = (ids: string): string => ids.trim().split(/\s+/).sort().join(' ')
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const text = readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1')
      expect(text).toContain(`Gid:\t${gid}\t${gid}\t${gid}\t${gid}`)
      expect(sorted(/^Groups:(.*)$/m.exec(text)?.[1] ?? '')).toBe(sorted(system('id', '-G', bob)))
      for (const set of ['Prm', 'Eff', 'Amb']) expect(text).toMatch(new RegExp(`^Cap${set}:\\s*0+$`, 'm'))
    }
    const tries = await run('setpriv', [
      `--reuid=${bob}`,
      `--regid=${gid}`,
      '--init-groups',
      'sh',
      '-c',
      `cat /proc/${pid}/environ /proc/${pid}/maps; ls /proc/${pid}/fd`,
    ])
    expect(tries.stdout.toString()).toBe('')
    expect(readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').filter(Boolean).sort()).toEqual([
      `HOME=/home/${bob}`,
      `LOGNAME=${bob}`,
      'PATH=/usr/local/bin:/usr/bin:/bin',
      `USER=${bob}`,
    ])
    writeFileSync(enough, '')
    expect((await session).code).toBe(0)
  })

  test("new files are the account's, with the umask of a login and its groups", async () => {
    writeFileSync(directory.file('source'), 'x', { mode: 0o666 })
    chmodSync(directory.file('source'), 0o666)
    const result = await sftp(bob, [`put ${directory.file('source')} new`, 'mkdir made'])
    expect(result.code).toBe(0)
    const stat = statSync(`/home/${bob}/new`)
    expect(stat.uid).toBe(Number(system('id', '-u', bob)))
    expect(stat.mode & 0o777).toBe(0o644)
    const gid = system('getent', 'group', group).split(':')[2] ?? ''
    expect((await sftp(bob, [`chgrp ${gid} new`])).code).toBe(0)
    expect(statSync(`/home/${bob}/new`).gid).toBe(Number(gid))
    expect((await sftp(bob, ['chgrp 0 new'])).stderr).toContain('Permission denied')
    expect((await sftp(bob, ['chown 0 new'])).stderr).toContain('Permission denied')
  })

  test('O3 what the client wants in the environment does not reach the program', async () => {
    const [flag = '', config = ''] = node.openSsh(user, bob)
    const marker = `/home/${bob}/owned.js`
    writeFileSync(marker, `require('fs').writeFileSync('/tmp/owned-${suffix}', 'root')`)
    const options = ['-o', `SetEnv=NODE_OPTIONS=--require=${marker}`]
    const result = await run('sftp', ['-q', flag, config, ...options, '-b', '-', 'node'], { input: 'pwd\n' })
    expect(result.stdout.toString()).toContain(`/home/${bob}`)
    expect(existsSync(`/tmp/owned-${suffix}`)).toBe(false)
  })

  test('a link that changes while it is used never leads where the user may not go', async () => {
    writeFileSync(`/home/${bob}/own`, 'own')
    system('chown', bob, `/home/${bob}/own`)
    const loop = `cd /home/${bob}; while [ ! -e stop ]; do ln -sfn own race; ln -sfn /etc/shadow race; done`
    const racing = run('sh', ['-c', loop])
    const target = directory.file('raced')
    const result = await sftp(
      bob,
      Array.from({ length: 60 }, () => `-get race ${target}`),
    )
    writeFileSync(`/home/${bob}/stop`, '')
    await racing
    expect(result.code).toBe(0)
    if (existsSync(target)) expect(readFileSync(target, 'utf8')).toBe('own')
    const reads = node.events.filter((event) => event.event === 'sftp.read')
    for (const event of reads) expect('size' in event && event.size).toBe(3)
  })

  test('a home that is closed gives /', async () => {
    system('usermod', '-d', '/home/nowhere', alice)
    const result = await sftp(alice, ['pwd'])
    system('usermod', '-d', `/home/${alice}`, alice)
    expect(result.stdout.toString()).toContain('Remote working directory: /\n')
  })

  test('root is root', async () => {
    expect((await sftp('root', [`get /home/${alice}/secret ${directory.file('by-root')}`])).code).toBe(0)
    expect(readFileSync(directory.file('by-root'), 'utf8')).toBe('secret')
  })
})
