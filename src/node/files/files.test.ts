/** OpenSSH's clients against the node's SFTP server and the inspectors in front of it and of the system's scp. */

import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuditEvent } from '../../audit/events.ts'
import { openssh10Directory } from '../../ssh/testing/foreign-clients.ts'
import { type RunResult, run } from '../../ssh/testing/run.ts'
import { type TempDir, tempDir } from '../../ssh/testing/temp-dir.ts'
import { poll } from '../testing/poll.ts'
import { TestNode, type TestUser } from '../testing/test-node.ts'

const me = userInfo().username
const alice: TestUser = { name: 'alice', roles: ['dev'], logins: [me] }
let directory: TempDir
let node: TestNode
/** Of the client, and of the node. */
let here: string
let there: string
let serial = 0

const allowed = { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } } as const
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex')
const content = randomBytes(3_000_000)

beforeAll(async () => {
  directory = tempDir()
  node = new TestNode(directory.path)
  await node.listen()
  node.addUser(alice)
})
afterAll(async () => {
  await node.server.close()
  directory[Symbol.dispose]()
})
beforeEach(() => {
  node.events.length = 0
  node.addRole('dev', allowed)
  serial++
  here = directory.file(`here-${serial}`)
  there = directory.file(`there-${serial}`)
  for (const path of [here, there]) mkdirSync(path)
  writeFileSync(`${here}/big`, content)
  writeFileSync(`${there}/far`, content)
})

const config = (): readonly string[] => node.openSsh(alice, me).slice(0, 2)
const sftp = (commands: readonly string[], ...flags: string[]): Promise<RunResult> =>
  run('sftp', ['-q', ...config(), ...flags, '-b', '-', 'node'], { input: `${commands.join('\n')}\n` })
const scp = (...args: string[]): Promise<RunResult> => run('scp', ['-q', ...config(), ...args])
const ofFiles = (): AuditEvent[] => node.events.filter(({ event }) => event.startsWith('sftp.') || event === 'scp')
/** Without what every event has. */
const told = (...names: string[]): Readonly<Record<string, unknown>>[] =>
  ofFiles()
    .filter(({ event }) => names.length === 0 || names.includes(event))
    .map((event) => {
      const { path, size, sha256, partial, success, error, target, action, mode } = event as unknown as Record<
        string,
        unknown
      >
      const all = { event: event.event, path, size, sha256, partial, success, error, target, action, mode }
      return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
    })
const ended = (): Promise<void> => poll(() => node.events.some(({ event }) => event === 'session.end')).toBe(true)

describe('sftp', () => {
  test('put and get: each file is told with path, size and SHA-256, and the subsystem with its end', async () => {
    const result = await sftp([`put ${here}/big ${there}/up`, `get ${there}/far ${here}/down`])
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(`${there}/up`).equals(content)).toBe(true)
    expect(readFileSync(`${here}/down`).equals(content)).toBe(true)
    await ended()
    const hash = { size: content.length, sha256: sha256(content), success: true }
    expect(told('sftp.write', 'sftp.read')).toMatchObject([
      { event: 'sftp.write', path: `${there}/up`, ...hash },
      { event: 'sftp.read', path: `${there}/far`, ...hash },
    ])
    const subsystem = node.events.find(({ event }) => event === 'subsystem')
    expect(subsystem).toMatchObject({ name: 'sftp', code: 'T3001I' })
    // Everything about files stands before the end of their session, under its id.
    const names = node.events.map(({ event }) => event)
    expect(names.at(-1)).toBe('session.end')
    expect(new Set(node.events.map((event) => 'sid' in event && event.sid)).size).toBe(1)
  })

  test('what a person does by hand works and is told', async () => {
    const result = await sftp([
      `cd ${there}`,
      'pwd',
      'mkdir sub',
      'rename far sub/moved',
      'symlink sub/moved link',
      'ln sub/moved hard',
      'chmod 600 hard',
      'ls -l',
      'df',
      'rm hard',
      '-rm missing',
      '-rmdir sub',
      '-get nothing',
    ])
    expect(result.code).toBe(0)
    expect(result.stdout.toString()).toContain(`Remote working directory: ${there}`)
    expect(result.stdout.toString()).toMatch(new RegExp(`-rw------- .* ${me} .* 3000000 .* hard\n`))
    expect(readlinkSync(`${there}/link`)).toBe('sub/moved')
    expect(statSync(`${there}/sub/moved`).mode & 0o777).toBe(0o600)
    await ended()
    expect(
      told('sftp.mkdir', 'sftp.rename', 'sftp.symlink', 'sftp.link', 'sftp.setstat', 'sftp.remove', 'sftp.rmdir'),
    ).toEqual([
      { event: 'sftp.mkdir', path: `${there}/sub`, success: true },
      { event: 'sftp.rename', path: `${there}/far`, target: `${there}/sub/moved`, success: true },
      { event: 'sftp.symlink', path: `${there}/link`, target: 'sub/moved', success: true },
      { event: 'sftp.link', path: `${there}/sub/moved`, target: `${there}/hard`, success: true },
      { event: 'sftp.setstat', path: `${there}/hard`, success: true },
      { event: 'sftp.remove', path: `${there}/hard`, success: true },
      { event: 'sftp.remove', path: `${there}/missing`, success: false, error: 'No such file' },
      { event: 'sftp.rmdir', path: `${there}/sub`, success: false, error: 'Failure: directory not empty' },
    ])
    expect(told('sftp.opendir').length).toBeGreaterThan(0)
  })

  test('whole directories, with times and modes', async () => {
    mkdirSync(`${here}/tree/deep`, { recursive: true })
    for (let index = 0; index < 250; index++) writeFileSync(`${here}/tree/f${index}`, `number ${index}`)
    writeFileSync(`${here}/tree/deep/x`, '')
    chmodSync(`${here}/tree/deep/x`, 0o751)
    const result = await sftp([`put -pR ${here}/tree ${there}`, `get -pR ${there}/tree ${here}/back`])
    expect(result).toMatchObject({ code: 0, stderr: '' })
    const compared = await run('diff', ['-r', `${here}/tree`, `${here}/back`])
    expect(compared.code).toBe(0)
    expect(statSync(`${here}/back/deep/x`).mode & 0o777).toBe(0o751)
    await ended()
    const empty = { size: 0, sha256: sha256(Buffer.alloc(0)) }
    const last = { path: `${there}/tree/deep/x`, success: true, ...empty }
    expect(told('sftp.write')).toHaveLength(251)
    expect(told('sftp.read')).toHaveLength(251)
    expect(told('sftp.write')).toContainEqual(expect.objectContaining(last))
    expect(told('sftp.read')).toContainEqual(expect.objectContaining(last))
  })

  test('what is resumed is told as a part', async () => {
    writeFileSync(`${there}/half`, content.subarray(0, 1_000_000))
    writeFileSync(`${here}/half`, content.subarray(0, 1_000_000))
    const result = await sftp([`reput ${here}/big ${there}/half`, `reget ${there}/far ${here}/half`])
    expect(result).toMatchObject({ code: 0 })
    expect(readFileSync(`${there}/half`).equals(content)).toBe(true)
    expect(readFileSync(`${here}/half`).equals(content)).toBe(true)
    await ended()
    expect(told('sftp.write', 'sftp.read')).toMatchObject([
      { event: 'sftp.write', size: 2_000_000, partial: true, success: true },
      { event: 'sftp.read', size: 2_000_000, partial: true, success: true },
    ])
  })

  test('what could not be opened is told with the reason', async () => {
    const result = await sftp([`-put ${here}/big ${there}/no/such`, `-get ${there} ${here}/x`])
    expect(result.code).toBe(0)
    await ended()
    expect(told('sftp.open')).toMatchObject([{ path: `${there}/no/such`, success: false, error: 'No such file' }])
  })

  test('a client that is killed leaves a record of what it had begun', async () => {
    writeFileSync(`${there}/huge`, Buffer.alloc(200_000_000))
    const running = spawn('sftp', ['-q', ...config(), '-l', '20000', '-b', '-', 'node'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    running.stdin.end(`get ${there}/huge ${here}/huge\n`)
    await poll(() => existsSync(`${here}/huge`) && statSync(`${here}/huge`).size > 0).toBe(true)
    running.kill('SIGKILL')
    await ended()
    const [read] = told('sftp.read')
    expect(read).toMatchObject({ path: `${there}/huge`, success: false, partial: true })
    expect(read?.size).toBeGreaterThan(0)
  })

  test('ends when its events cannot be kept', async () => {
    node.auditProblem = undefined
    const running = sftp([
      `ls ${there}`,
      '!sleep 1',
      `get ${there}/far ${here}/a`,
      '!sleep 1',
      `get ${there}/far ${here}/b`,
    ])
    await poll(() => told('sftp.opendir').length).toBeGreaterThan(0)
    node.auditProblem = new Error('the disk is full')
    const result = await running
    node.auditProblem = undefined
    expect(result.code).not.toBe(0)
    expect(result.stderr).toContain('cannot be recorded')
  })
})

test.runIf(existsSync(`${openssh10Directory}/sftp`))('OpenSSH 10: sftp with its extensions, and scp', async () => {
  const options = [...config(), '-S', `${openssh10Directory}/ssh`]
  const commands = [
    `put ${here}/big ${there}/up`,
    `cp ${there}/up ${there}/copy`,
    `ls -l ${there}`,
    `get ${there}/copy ${here}/down`,
  ]
  const result = await run(`${openssh10Directory}/sftp`, ['-q', ...options, '-b', '-', 'node'], {
    input: `${commands.join('\n')}\n`,
  })
  expect(result).toMatchObject({ code: 0, stderr: '' })
  expect(result.stdout.toString()).toContain(me)
  expect(
    await run(`${openssh10Directory}/scp`, ['-q', ...options, `node:${there}/far`, `${here}/again`]),
  ).toMatchObject({
    code: 0,
  })
  for (const name of ['down', 'again']) expect(readFileSync(`${here}/${name}`).equals(content)).toBe(true)
  await poll(() => node.events.filter(({ event }) => event === 'session.end').length).toBe(2)
  const whole = { size: content.length, sha256: sha256(content), success: true }
  const copied = { partial: true, size: 0, success: true }
  expect(told('sftp.write', 'sftp.read')).toMatchObject([
    { event: 'sftp.write', path: `${there}/up`, ...whole },
    { event: 'sftp.read', path: `${there}/up`, ...copied },
    { event: 'sftp.write', path: `${there}/copy`, ...copied },
    { event: 'sftp.read', path: `${there}/copy`, ...whole },
    { event: 'sftp.read', path: `${there}/far`, ...whole },
  ])
})

const hasParamiko = (await run('/usr/bin/python3', ['-c', 'import paramiko']).catch(() => undefined))?.code === 0

test.runIf(hasParamiko)('Paramiko: transfers, listings, changes, random access', async () => {
  const keys = dirname(config()[1] ?? '')
  const script = `
import paramiko, socket, stat
t = paramiko.Transport(socket.create_connection(('127.0.0.1', ${node.port})))
key = paramiko.Ed25519Key.from_private_key_file('${keys}/id')
key.load_certificate('${keys}/certificate.pub')
t.connect(username='${me}', pkey=key)
c = paramiko.SFTPClient.from_transport(t)
assert c.put('${here}/big', '${there}/up').st_size == ${content.length}
c.get('${there}/far', '${here}/down')
c.mkdir('${there}/d', 0o700)
c.chdir('${there}/d')
with c.open('random', 'w+') as f:
    f.write(b'x' * 100000)
    f.seek(50000)
    f.write(b'middle')
    f.seek(50000)
    assert f.read(6) == b'middle'
    f.truncate(70000)
assert c.stat('random').st_size == 70000
with c.open('random', 'ab') as f:
    f.write(b'end')
with c.open('random', 'rb') as f:
    assert f.readv([(50000, 6), (70000, 10)]).__next__() == b'middle'
c.chmod('random', 0o640)
c.utime('random', (1, 2))
c.symlink('random', 'link')
assert c.readlink('link') == 'random'
assert stat.S_ISLNK(c.lstat('link').st_mode)
assert c.normalize('..') == '${there}'
assert sorted(a.filename for a in c.listdir_attr('.')) == ['link', 'random'], c.listdir()
try:
    c.rename('link', 'random'); assert False
except OSError as e: pass
c.posix_rename('random', 'link')
try:
    c.open('random'); assert False
except FileNotFoundError: pass
try:
    c.rmdir('.'); assert False
except OSError: pass
c.remove('link')
c.rmdir('${there}/d')
c.close()
t.close()
print('done')
`
  const result = await run('/usr/bin/python3', ['-c', script])
  expect(result).toMatchObject({ stderr: '', code: 0 })
  expect(readFileSync(`${there}/up`).equals(content)).toBe(true)
  expect(readFileSync(`${here}/down`).equals(content)).toBe(true)
  await ended()
  const whole = { size: content.length, sha256: sha256(content), success: true }
  const random = { path: `${there}/d/random`, partial: true, success: true }
  expect(told('sftp.write')).toMatchObject([
    { path: `${there}/up`, ...whole },
    { ...random, size: 100_006 },
    { ...random, size: 3 },
  ])
  expect(told('sftp.read')[0]).toMatchObject({ path: `${there}/far`, ...whole })
})

describe.each(['-s', '-O'])('scp %s', (flag) => {
  const name = flag === '-s' ? 'sftp' : 'scp'
  test('one file up and down', async () => {
    expect(await scp(flag, `${here}/big`, `node:${there}/up`)).toMatchObject({ code: 0, stderr: '' })
    expect(await scp(flag, `node:${there}/far`, `${here}/down`)).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(`${there}/up`).equals(content)).toBe(true)
    expect(readFileSync(`${here}/down`).equals(content)).toBe(true)
    await poll(() => node.events.filter(({ event }) => event === 'session.end').length).toBe(2)
    const whole = { size: content.length, sha256: sha256(content), success: true }
    expect(told('scp', 'sftp.write', 'sftp.read')).toMatchObject(
      name === 'scp'
        ? [
            { event: 'scp', action: 'upload', path: `${there}/up`, mode: '0644', ...whole },
            { event: 'scp', action: 'download', path: `${there}/far`, mode: '0644', ...whole },
          ]
        : [
            { event: 'sftp.write', path: `${there}/up`, ...whole },
            { event: 'sftp.read', path: `${there}/far`, ...whole },
          ],
    )
  })

  test('into a directory, trees, globs, spaces, times', async () => {
    mkdirSync(`${here}/tree/in side`, { recursive: true })
    writeFileSync(`${here}/tree/in side/ä b`, 'spaces')
    writeFileSync(`${here}/tree/empty`, '')
    expect(await scp(flag, '-rp', `${here}/tree`, `node:${there}`)).toMatchObject({ code: 0 })
    expect(await scp(flag, '-rp', `${here}/tree`, `node:${there}/fresh`)).toMatchObject({ code: 0 })
    expect(await scp(flag, '-r', `node:${there}/tree/*`, here)).toMatchObject({ code: 0 })
    expect(readFileSync(`${there}/tree/in side/ä b`, 'utf8')).toBe('spaces')
    expect(readFileSync(`${here}/in side/ä b`, 'utf8')).toBe('spaces')
    await poll(() => node.events.filter(({ event }) => event === 'session.end').length).toBeGreaterThanOrEqual(3)
    const paths = told('scp', 'sftp.write', 'sftp.read').map((event) => {
      const down = event.event === 'sftp.read' || event.action === 'download'
      return `${down ? 'down' : 'up'} ${event.path} ${event.size}`
    })
    expect(paths.sort()).toEqual(
      [
        `up ${there}/tree/in side/ä b 6`,
        `up ${there}/tree/empty 0`,
        `up ${there}/fresh/in side/ä b 6`,
        `up ${there}/fresh/empty 0`,
        `down ${there}/tree/in side/ä b 6`,
        `down ${there}/tree/empty 0`,
      ].sort(),
    )
  })

  test('a missing file is told', async () => {
    expect((await scp(flag, `node:${there}/none`, here)).code).not.toBe(0)
    await ended()
    if (name === 'scp') {
      expect(told('scp')).toMatchObject([{ path: `${there}/none`, action: 'download', success: false }])
    }
  })

  test('is refused where a role forbids copying, with the reason and an event', async () => {
    node.addRole('dev', allowed, { ssh_file_copy: false })
    const result = await scp(flag, `${here}/big`, `node:${there}/up`)
    expect(result.code).not.toBe(0)
    expect(result.stderr).toContain('ssh_file_copy')
    expect(existsSync(`${there}/up`)).toBe(false)
    await poll(() => node.events.find(({ event }) => event === 'subsystem' || event === 'scp')).toMatchObject(
      name === 'scp' ? { event: 'scp', success: false, code: 'T3005E' } : { event: 'subsystem', code: 'T3001E' },
    )
  })
})

test('sftp -s with a program of the node is watched as well, and so is its refusal', async () => {
  const flags = ['-s', '/usr/lib/openssh/sftp-server']
  if (!existsSync(flags[1] ?? '')) return
  expect(await sftp([`put ${here}/big ${there}/up`], ...flags)).toMatchObject({ code: 0 })
  await ended()
  expect(told('sftp.write')).toMatchObject([{ path: `${there}/up`, sha256: sha256(content) }])
  node.addRole('dev', allowed, { ssh_file_copy: false })
  const refused = await sftp([`put ${here}/big ${there}/again`], ...flags)
  expect(refused.stderr).toContain('ssh_file_copy')
  expect(existsSync(`${there}/again`)).toBe(false)
})

test('rsync is refused where a role forbids copying', async () => {
  node.addRole('dev', allowed, { ssh_file_copy: false })
  const [flag = '', file = ''] = config()
  const result = await run('rsync', ['-e', `ssh ${flag} ${file}`, `${here}/big`, `node:${there}/up`])
  expect(result.code).not.toBe(0)
  expect(result.stderr).toContain('ssh_file_copy')
})
