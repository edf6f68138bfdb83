/**
 * Every program that moves files over ssh works through the proxy unchanged, with nothing but the block of `tsh config`: scp both
 * ways of its own, sftp, rsync, git, sshfs, Ansible, connections that are shared; and `tsh scp`. Node and client are one machine
 * here: `here` and `there` are two directories of it.
 */

import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, freePorts, login, startCluster } from './cluster.ts'
import { bin, Dialog, type RunOptions, run, succeed, until } from './run.ts'

let cluster: Cluster
let home: string
let config: string
const host = 'node-1.feat'
const at = (...names: readonly string[]) => join(cluster.dir, ...names)

beforeAll(async () => {
  cluster = await startCluster()
  await cluster.addUser('alice')
  home = await cluster.login('alice')
  config = at('ssh_config')
  const block = (await cluster.tsh(home, ['config'])).stdout
  writeFileSync(config, `${block}\nHost *\n    User ${login}\n    LogLevel ERROR\n`)
  makeTree(at('here/tree'))
  mkdirSync(at('there'))
})
afterAll(async () => {
  await cluster.remove()
})

/** Text, a large file of no repeating content, an empty one, names that shells mind, a program, a link, directories. */
function makeTree(root: string): void {
  mkdirSync(join(root, 'sub/empty dir'), { recursive: true })
  const hash = createHash('shake256', { outputLength: 3_000_000 }).update('content')
  writeFileSync(join(root, 'large.bin'), hash.digest())
  writeFileSync(join(root, 'text.txt'), 'one\ntwo\n')
  writeFileSync(join(root, 'empty'), '')
  writeFileSync(join(root, "sub/it's a $(name) ünd so"), 'quoted')
  writeFileSync(join(root, 'sub/program'), '#!/bin/sh\necho ran\n')
  chmodSync(join(root, 'sub/program'), 0o750)
  chmodSync(join(root, 'text.txt'), 0o604)
  symlinkSync('text.txt', join(root, 'link'))
  let time = 1_000_000_000
  for (const name of ['large.bin', 'text.txt', 'empty', 'sub/program', 'sub/empty dir', 'sub', '.']) {
    utimesSync(join(root, name), time, time)
    time += 86_400
  }
}

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

/** All below the directory: name, mode, seconds of its last change, checksum. `links`: as links, or as what they lead to. */
function facts(root: string, options: { links: 'kept' | 'followed'; times: boolean }) {
  return readdirSync(root, { recursive: true })
    .map(String)
    .sort()
    .map((name) => {
      const path = join(root, name)
      const isLink = options.links === 'kept' && lstatSync(path).isSymbolicLink()
      const found = isLink ? lstatSync(path) : statSync(path)
      const content = isLink ? readlinkSync(path) : found.isFile() ? digest(path) : 'directory'
      return {
        name,
        content,
        ...(isLink ? {} : { mode: (found.mode & 0o7777).toString(8) }),
        ...(options.times && !isLink ? { time: Math.floor(found.mtimeMs / 1000) } : {}),
      }
    })
}
const exact = { links: 'followed', times: true } as const

const on = (path: string) => `${login}@${host}:${path}`
const sh = (command: string, options: RunOptions = {}) => succeed('sh', ['-ec', command], options)

describe('scp of OpenSSH', () => {
  test.each([
    { name: 'with SFTP', options: ['-s'] },
    { name: 'with its own old protocol', options: ['-O'] },
  ])('$name copies a tree there and back as it is', async ({ name, options }) => {
    const [there, back] = [at('there', name.replaceAll(' ', '-')), at('here', name.replaceAll(' ', '-'))]
    const scp = ['-q', '-F', config, '-r', '-p', ...options]
    await succeed('scp', [...scp, at('here/tree'), on(there)])
    expect(facts(there, exact)).toEqual(facts(at('here/tree'), exact))
    await succeed('scp', [...scp, on(there), back])
    expect(facts(back, exact)).toEqual(facts(at('here/tree'), exact))
    const missing = await run('scp', [...scp, on(`${there}/nothing`), at('here/nothing')])
    expect(missing.code).toBe(1)
    expect(missing.stderr).toContain('No such file')
  })
})

describe('sftp of OpenSSH', () => {
  test('a batch', async () => {
    mkdirSync(at('there/sftp'))
    const batch = at('batch')
    writeFileSync(
      batch,
      `cd ${at('there/sftp')}
lcd ${at('here')}
put -rp tree
rename tree/text.txt "tree/new name"
chmod 600 "tree/new name"
ln -s "new name" tree/again
mkdir made
rmdir made
rm tree/empty
-rm tree/empty
get -rp tree sftp-back
reget tree/large.bin sftp-back/large.bin
df -h
ls -ln tree
pwd
`,
    )
    const said = await succeed('sftp', ['-F', config, '-b', batch, `${login}@${host}`])
    expect(said).toContain(`Remote working directory: ${at('there/sftp')}`)
    expect(said).toMatch(/^-rw-------.* 8 Sep 10 {2}2001 tree\/new name$/m)
    const back = facts(at('here/sftp-back'), exact).filter(({ name }) => name !== 'again')
    expect(back).toEqual(facts(at('there/sftp/tree'), exact).filter(({ name }) => name !== 'again'))
    expect(digest(at('there/sftp/tree/large.bin'))).toBe(digest(at('here/tree/large.bin')))
    expect(existsSync(at('there/sftp/tree/empty'))).toBe(false)
  })

  test('by hand: what fails is said, and it goes on', async () => {
    const input = `cd /nowhere\n!echo local\nls ${at('there/sftp/tree/sub')}\nversion\nbye\n`
    const result = await run('sftp', ['-F', config, `${login}@${host}`], { input })
    expect(result.code).toBe(0)
    expect(result.stdout).toMatch(/\nlocal\n[\s\S]*\/sub\/program[\s\S]*\nSFTP protocol version 3\n/)
    expect(result.stderr).toMatch(/No such file or directory/)
  })
})

test('rsync mirrors both ways, deletes, and finds nothing to do the second time', async () => {
  const there = at('there/rsync')
  mkdirSync(there)
  writeFileSync(join(there, 'stray'), 'to be deleted')
  const rsync = ['-a', '--delete', '-e', `ssh -F ${config}`]
  await succeed('rsync', [...rsync, `${at('here/tree')}/`, on(`${there}/`)])
  const kept = { links: 'kept', times: true } as const
  expect(facts(there, kept)).toEqual(facts(at('here/tree'), kept))
  writeFileSync(join(there, 'sub/program'), 'changed there')
  await succeed('rsync', [...rsync, on(`${there}/`), at('here/rsync/')])
  expect(facts(at('here/rsync'), kept)).toEqual(facts(there, kept))
  const again = ['--checksum', '--itemize-changes', ...rsync]
  expect(await succeed('rsync', [...again, on(`${there}/`), at('here/rsync/')])).toBe('')
})

test('git pushes to and clones from a bare repository', async () => {
  const env = {
    GIT_SSH_COMMAND: `ssh -F ${config}`,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  }
  const url = on(at('there/project.git'))
  const work = at('here/project')
  await sh(
    `git init -q --bare ${at('there/project.git')}; cp -r ${at('here/tree')} ${work}; cd ${work}; git init -q -b main; git add .; git commit -qm one; git push -q ${url} main`,
    { env },
  )
  await succeed('git', ['clone', '-q', '-b', 'main', url, at('here/clone')], { env })
  expect(digest(at('here/clone/large.bin'))).toBe(digest(join(work, 'large.bin')))
  await sh(
    `cd ${at('here/clone')}; echo more > more; git add more; git commit -qm two; git push -q; cd ${work}; git pull -q ${url} main`,
    { env },
  )
  expect(readFileSync(join(work, 'more'), 'utf8')).toBe('more\n')
})

// Without the device there is no file system in user space at all.
test.skipIf(!existsSync('/dev/fuse'))('sshfs mounts a directory of the node (needs /dev/fuse)', async () => {
  const [there, mount] = [at('there/mounted'), at('here/mount')]
  mkdirSync(there)
  mkdirSync(mount)
  await succeed('sshfs', ['-F', config, on(there), mount])
  try {
    await sh(
      `cp -r ${at('here/tree')} ${mount}/; mv ${mount}/tree/text.txt ${mount}/renamed; echo more >> ${mount}/renamed; rm ${mount}/tree/empty; chmod 640 ${mount}/renamed`,
    )
    expect(readFileSync(join(there, 'renamed'), 'utf8')).toBe('one\ntwo\nmore\n')
    expect(statSync(join(mount, 'renamed')).mode & 0o777).toBe(0o640)
    expect(readdirSync(join(mount, 'tree')).sort()).toEqual(readdirSync(join(there, 'tree')).sort())
    expect(digest(join(mount, 'tree/large.bin'))).toBe(digest(at('here/tree/large.bin')))
  } finally {
    await succeed('fusermount', ['-u', mount])
  }
})

test('Ansible: copy by each way of transfer, template and command; the second run changes nothing', {
  timeout: 420_000,
}, async () => {
  const methods = ['sftp', 'scp', 'piped']
  const control = at('cp')
  mkdirSync(at('ansible'))
  writeFileSync(
    at('ansible/inventory'),
    methods
      .map((method) => {
        const values = [
          `ansible_host=${host}`,
          `ansible_ssh_transfer_method=${method}`,
          `ansible_remote_tmp=${at('there', `tmp-${method}`)}`,
          'ansible_python_interpreter=/usr/bin/python3',
        ]
        return `by-${method} ${values.join(' ')}\n`
      })
      .join(''),
  )
  writeFileSync(at('ansible/greeting.j2'), 'Hello from {{ inventory_hostname }}\n')
  writeFileSync(
    at('ansible/play.yml'),
    `- hosts: all
  gather_facts: false
  vars: {target: "${at('there')}/{{ inventory_hostname }}"}
  tasks:
    - copy: {src: "${at('here/tree/large.bin')}", dest: "{{ target }}/", mode: "0750"}
    - when: inventory_hostname == "by-sftp"
      template: {src: greeting.j2, dest: "{{ target }}/greeting", mode: "0640"}
    - when: inventory_hostname == "by-sftp"
      command: {cmd: "cp greeting made", chdir: "{{ target }}", creates: "{{ target }}/made"}
`,
  )
  const play = () =>
    succeed('ansible-playbook', ['-i', at('ansible/inventory'), at('ansible/play.yml')], {
      cwd: at('ansible'),
      timeoutMs: 180_000,
      env: {
        HOME: at('ansible'),
        ANSIBLE_NOCOLOR: '1',
        ANSIBLE_SSH_CONTROL_PATH_DIR: control,
        ANSIBLE_SSH_COMMON_ARGS: `-F ${config}`,
      },
    })
  try {
    const first = await play()
    for (const method of methods) {
      expect(first).toMatch(new RegExp(`by-${method} .*changed=${method === 'sftp' ? 3 : 1} .*failed=0`))
      const copied = at('there', `by-${method}`, 'large.bin')
      expect(digest(copied)).toBe(digest(at('here/tree/large.bin')))
      expect(statSync(copied).mode & 0o777).toBe(0o750)
    }
    expect(readFileSync(at('there/by-sftp/made'), 'utf8')).toBe('Hello from by-sftp\n')
    expect(statSync(at('there/by-sftp/greeting')).mode & 0o777).toBe(0o640)
    const second = await play()
    for (const method of methods) expect(second).toMatch(new RegExp(`by-${method} .*changed=0 .*failed=0`))
    // As it is without any setting: one connection stays open for all tasks.
    expect(readdirSync(control)).not.toEqual([])
  } finally {
    for (const socket of existsSync(control) ? readdirSync(control) : []) {
      await run('ssh', ['-F', config, '-o', `ControlPath=${join(control, socket)}`, '-O', 'exit', host])
    }
  }
})

test('one shared connection carries a script, files, commands and a SOCKS proxy, as editors use it', async () => {
  const server = createServer((request, response) => void response.end(`answer to ${request.url}`))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const service = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { node: socks } = await freePorts()
  const shared = ['-F', config, '-o', `ControlPath=${at('cm')}`]
  const master = new Dialog('ssh', [...shared, '-M', '-N', '-D', `127.0.0.1:${socks}`, host])
  try {
    await until('the shared connection', () => (existsSync(at('cm')) ? true : undefined))
    const script = 'cd /\nfor i in 1 2 3; do echo "line $i in $PWD"; done\nexit 7\n'
    const result = await run('ssh', [...shared, '-T', host, 'sh -s'], { input: script })
    expect(result).toEqual({ code: 7, stdout: 'line 1 in /\nline 2 in /\nline 3 in /\n', stderr: '' })
    const curl = (path: string) => succeed('curl', ['-s', '--socks5-hostname', `127.0.0.1:${socks}`, service + path])
    const put = at('put')
    writeFileSync(put, `put ${at('here/tree/large.bin')} ${at('there/shared.bin')}\n`)
    const [, answers, outputs] = await Promise.all([
      succeed('sftp', [...shared, '-q', '-b', put, host]),
      Promise.all(['/a', '/b', '/c', '/d'].map(curl)),
      Promise.all([1, 2, 3].map((number) => succeed('ssh', [...shared, host, `echo ${number}`]))),
    ])
    expect(answers).toEqual(['/a', '/b', '/c', '/d'].map((path) => `answer to ${path}`))
    expect(outputs).toEqual(['1\n', '2\n', '3\n'])
    expect(digest(at('there/shared.bin'))).toBe(digest(at('here/tree/large.bin')))
  } finally {
    await master.stop()
    server.close()
  }
})

describe('tsh scp', () => {
  const scp = (...args: readonly string[]) => cluster.tsh(home, ['scp', ...args])
  const node = (path: string, name = 'node-1') => `${login}@${name}:${path}`

  test('a tree there, on to another node, and back: as it was', async () => {
    const [there, further, back] = [at('there/tsh'), at('there/tsh-2'), at('here/tsh')]
    expect(await scp('-rp', at('here/tree'), node(there))).toEqual({ code: 0, stdout: '', stderr: '' })
    // The node under another of its names: another connection.
    expect(await scp('-r', '-p', node(there), node(further, host))).toMatchObject({ code: 0, stderr: '' })
    expect(await scp('-q', '-r', '--preserve', node(further), back)).toMatchObject({ code: 0, stderr: '' })
    for (const copy of [there, further, back]) expect(facts(copy, exact)).toEqual(facts(at('here/tree'), exact))
  })

  test('patterns on both sides, several sources, into a directory; what fails is named and the rest is copied', async () => {
    mkdirSync(at('here/many'))
    mkdirSync(at('there/many'))
    const down = await scp(
      node(at('there/tsh/[et]*t*')),
      node(at('there/nothing*')),
      node(at('there/tsh/sub')),
      at('here/many'),
    )
    expect(down.code).toBe(1)
    expect(down.stderr.trim().split('\n').sort()).toEqual([
      `tsh: node-1:${at('there/nothing*')}: no such file or directory`,
      `tsh: node-1:${at('there/tsh/sub')}: is a directory; copy it with -r`,
    ])
    expect(readdirSync(at('here/many')).sort()).toEqual(['empty', 'text.txt'])
    const up = await scp(at('here/many/*'), at('here/tree/large.bin'), node(at('there/many/')))
    expect(up).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(readdirSync(at('there/many')).sort()).toEqual(['empty', 'large.bin', 'text.txt'])
  })

  test('the home directory, names with colons, a file without a size', async () => {
    const name = `tsh-scp-test-${process.pid}`
    writeFileSync(at('here/with:colon'), 'colon')
    try {
      const up = await run(bin('tsh'), ['scp', './with:colon', node(`~/${name}`)], {
        cwd: at('here'),
        env: cluster.env({ TELEPORT_HOME: home }),
      })
      expect(up).toEqual({ code: 0, stdout: '', stderr: '' })
      expect(await scp(node(name), at('here/plain'))).toMatchObject({ code: 0 })
      expect(readFileSync(at('here/plain'), 'utf8')).toBe('colon')
    } finally {
      await cluster.tsh(home, ['ssh', `${login}@node-1`, `rm -f ${name}`])
    }
    expect(await scp(node('/proc/self/status'), at('here/status'))).toMatchObject({ code: 0 })
    expect(readFileSync(at('here/status'), 'utf8')).toMatch(/^Name:/)
    expect(await scp(at('here/tree/text.txt'), node('/dev/null'))).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test.each([
    { name: 'nothing on a node', args: () => ['a', 'b'], code: 2, says: /use cp/ },
    { name: 'one word', args: () => [node('x')], code: 2, says: /more/ },
    { name: 'an option that scp has and tsh has not', args: () => ['-C', node('x'), 'y'], code: 2, says: /-C/ },
    { name: 'a node that is not there', args: () => [node('x', 'nowhere'), 'y'], code: 255, says: /nowhere/ },
    { name: 'a login that is not allowed', args: () => ['mallory@node-1:x', 'y'], code: 255, says: /mallory/ },
    {
      name: 'several sources and no directory',
      args: () => [node('/etc/host*'), at('here/not-there')],
      code: 2,
      says: /not a directory/,
    },
    {
      name: 'a file nobody may write',
      args: () => [node('/etc/hostname'), '/proc/version'],
      code: 1,
      says: /cannot write \/proc\/version/,
    },
  ])('$name: exit $code', async ({ args, code, says }) => {
    const result = await scp(...args())
    expect(result).toMatchObject({ code, stdout: '' })
    expect(result.stderr).toMatch(says)
    expect(result.stderr).not.toContain('internal error')
  })

  test('on a terminal it shows the progress, and the total', async () => {
    const command = `'${bin('tsh')}' scp ${node(at('there/tsh/large.bin'))} ${node(at('there/tsh/text.txt'))} ${at('here')}`
    const { stdout } = await run('script', ['-qec', command, '/dev/null'], {
      env: cluster.env({ TELEPORT_HOME: home }),
    })
    const lines = stdout.split('\n').map((line) => line.trimEnd().split('\r').at(-1) ?? '')
    expect(lines[0]).toMatch(/^large\.bin +100% +2\.9MB +\S+B\/s +00:\d\d$/)
    expect(lines[1]).toMatch(/^text\.txt +100% +8B +\S+B\/s +00:\d\d$/)
    expect(lines[2]).toMatch(/^2 files +100% +2\.9MB /)
  })

  test('interrupted, it says what is incomplete', async () => {
    await succeed('truncate', ['-s', '8G', at('there/sparse')])
    const target = at('here/sparse')
    const copying = new Dialog(bin('tsh'), ['scp', node(at('there/sparse')), target], {
      env: cluster.env({ TELEPORT_HOME: home }),
    })
    await until('the first bytes', () => (existsSync(target) && statSync(target).size > 1e6 ? true : undefined))
    expect(await copying.stop('SIGINT')).toBe(130)
    expect(copying.output).toMatch(/^tsh: \S+\/here\/sparse is incomplete: \S+ of +8\.0GB\ntsh: interrupted\n$/)
    await succeed('rm', [target, at('there/sparse')])
  })
})

test('each file that crossed is in the audit log, with its size and checksum, whichever program brought it', async () => {
  const large = { size: 3_000_000, sha256: digest(at('here/tree/large.bin')), success: true, user: 'alice', login }
  const found = async (type: string, path: string, action?: string) => {
    const events = await cluster.events({ type })
    return events.find((event) => event.path === path && (action === undefined || event.action === action))
  }
  const expected = [
    { type: 'sftp.write', path: at('there/with-SFTP/large.bin') },
    { type: 'sftp.read', path: at('there/with-SFTP/large.bin') },
    { type: 'scp', path: at('there/with-its-own-old-protocol/large.bin'), action: 'upload' },
    { type: 'scp', path: at('there/with-its-own-old-protocol/large.bin'), action: 'download' },
    { type: 'sftp.write', path: at('there/sftp/tree/large.bin') },
    { type: 'sftp.write', path: at('there/shared.bin') },
    { type: 'sftp.write', path: at('there/tsh/large.bin') },
    { type: 'sftp.read', path: at('there/tsh/large.bin') },
    { type: 'sftp.write', path: at('there/tsh-2/large.bin') },
  ]
  for (const { type, path, action } of expected) {
    const event = await until(`${type} ${path}`, () => found(type, path, action))
    expect(event, path).toMatchObject(large)
  }
  expect(await found('sftp.rename', at('there/sftp/tree/text.txt'))).toMatchObject({
    target: at('there/sftp/tree/new name'),
  })
  // What was broken off is told as far as it came.
  expect(await until('the broken transfer', () => found('sftp.read', at('there/sparse')))).toMatchObject({
    partial: true,
  })
})
