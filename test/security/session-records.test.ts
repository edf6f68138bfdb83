/** What sessions leave behind, whatever is done in them: hostile output and sizes, people who do not read, killed clients, a clock that jumps. */

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type IPty, spawn } from 'node-pty'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Cluster, login, temporaryDirectory } from '../cluster.ts'
import { pidOf } from '../processes.ts'
import { bin, cleanEnv, Dialog, run, until } from '../run.ts'
import { slowLine } from '../slow-line.ts'
import { type AuditRecord, type Bench, startBench } from './bench.ts'

/** Where control groups that limit processes can be made; undefined: nowhere here. */
const pidGroups = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find((root) => {
  const probe = join(root, `teleport-probe-${process.pid}`)
  try {
    mkdirSync(probe)
    const found = readdirSync(probe).includes('pids.max')
    rmdirSync(probe)
    return found
  } catch {
    return false
  }
})

let bench: Bench
let cluster: Cluster
const homes: Record<string, string> = {}
const clock = join(temporaryDirectory(), 'clock')
const shift = (seconds: number) => {
  writeFileSync(`${clock}.new`, String(seconds * 1000))
  renameSync(`${clock}.new`, clock)
}

beforeAll(async () => {
  shift(0)
  // A clock that a file sets, in every thread of every program.
  writeFileSync(
    `${clock}.mjs`,
    `import { readFileSync } from 'node:fs'
const Real = Date
let offset = 0
const look = () => { try { offset = Number(readFileSync(${JSON.stringify(clock)}, 'utf8')) } catch {} }
look()
setInterval(look, 50).unref()
const now = () => Real.now() + offset
globalThis.Date = class Date extends Real {
  constructor(...given) { super(...(given.length === 0 ? [now()] : given)) }
  static now() { return now() }
}
`,
  )
  bench = await startBench({ env: { NODE_OPTIONS: `--import=${clock}.mjs` } })
  cluster = bench.cluster
  const spec = { allow: { join_sessions: [{ name: 'all', roles: ['*'], modes: ['observer', 'peer'] }] } }
  await cluster.admin.create(JSON.stringify({ kind: 'role', version: 'v4', metadata: { name: 'joiner' }, spec }))
  for (const [name, roles] of [['alice', 'access,auditor'] as const, ['bob', 'joiner'] as const]) {
    await cluster.addUser(name, { roles })
    homes[name] = await cluster.login(name)
  }
})
afterAll(async () => {
  await bench.remove()
  rmSync(dirname(clock), { recursive: true, force: true })
})

const home = () => homes.alice ?? ''
const tsh = (...args: readonly string[]) => cluster.tsh(home(), args)
const environment = (user: string) => cluster.env({ TELEPORT_HOME: homes[user] ?? '', TERM: 'xterm-256color' })
const start = (user: string, args: readonly string[]) => new Dialog(bin('tsh'), args, { env: environment(user) })
const onTerminal = (script: string) => start('alice', ['ssh', '-tt', `${login}@node-1`, script])
const sidOf = async (dialog: Dialog): Promise<string> => (await dialog.expect(/sid=([0-9a-f-]{36})\./))[1] ?? ''
const tellSid = 'echo "sid=$SSH_SESSION_ID.";'
const linkOf = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

const events = () => cluster.events()
/** Those of a session, oldest first, as soon as the last one is there. */
const trail = (sid: string, last = 'session.end') =>
  until(`${last} of ${sid}`, async () => {
    const found = (await cluster.events({ session: sid })).toSorted((a, b) => Number(a.ei) - Number(b.ei))
    return found.some(({ event }) => event === last) ? found : undefined
  })
const cast = async (sid: string): Promise<readonly [number, string, string][]> => {
  await trail(sid, 'session.upload')
  const { code, stdout, stderr } = await tsh('recordings', 'export', sid, '--format=cast', '--out=-')
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return stdout
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line) as [number, string, string])
}
const memory = (pid: number) =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

describe('hostile output', () => {
  test('a megabyte of escape sequences and bytes that are no UTF-8: the session is fine, the recording replays', async () => {
    const node = pidOf(cluster, 'node')
    const before = memory(node)
    const file = join(cluster.dir, 'hostile')
    const pieces = [
      '\x1b[2147483647b',
      '\x1b]0;',
      '\x1b[?1049h',
      '\x1bP$q',
      '\x1b[999999;999999H',
      '\x1b[38;5;999m',
      '\x9b',
      '\x1b[1;1r\n',
    ]
    const parts = Array.from({ length: 120_000 }, (_, n) => Buffer.from(pieces[n % pieces.length] ?? '', 'latin1'))
    const bytes = Buffer.concat([Buffer.from('\x1b]0;never ends'.repeat(10)), Buffer.alloc(100_000, 0xff), ...parts])
    expect(bytes.length).toBeGreaterThan(700_000)
    writeFileSync(file, bytes)
    const dialog = onTerminal(
      `${tellSid} cat ${file}; printf '\\033\\\\\\033c'; echo done-$((1+1)).; read -r x; echo "got $x"`,
    )
    const sid = await sidOf(dialog)
    await dialog.expect(/done-2\./)
    dialog.send('fine\n')
    await dialog.expect(/got fine/)
    expect(await dialog.exited).toBe(0)
    const lines = await cast(sid)
    const output = lines.flatMap(([, code, data]) => (code === 'o' ? [data] : [])).join('')
    expect(output).toContain('done-2.')
    expect(output).toContain('got fine')
    expect(output.length).toBeGreaterThan(700_000)
    const text = await tsh('play', sid, '--format=text')
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toContain('got fine')
    expect(memory(node) - before).toBeLessThan(200)
  })

  test.each([
    { columns: 300, rows: 1 },
    { columns: 1, rows: 300 },
    { columns: 65_535, rows: 65_535 },
    { columns: 0, rows: 0 },
  ])('a terminal of $columns x $rows', async ({ columns, rows }) => {
    const node = pidOf(cluster, 'node')
    const before = memory(node)
    const stty = `stty cols ${columns} rows ${rows} < /dev/tty`
    // The size that tsh is started with, and again while it runs.
    const script = `${tellSid} stty size; head -c 100000 /dev/zero | tr '\\0' x; echo; read -r a; stty size; echo done-$((1+1)).; read -r b`
    const tshCommand = [bin('tsh'), 'ssh', '-tt', `${login}@node-1`, `'${script.replaceAll("'", `'\\''`)}'`].join(' ')
    const env = cleanEnv(environment('alice'))
    const pty: IPty = spawn('sh', ['-c', `${stty}; ${tshCommand}`], { cols: 80, rows: 24, name: 'xterm', env })
    let output = ''
    pty.onData((text) => {
      output += text
    })
    const exited = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)))
    const plain = () => output.replaceAll(/[\r\n]/g, '')
    const sid = await until(
      'the session',
      () => /sid=([0-9a-f-]{36})\./.exec(plain())?.[1],
      60_000,
      () => output,
    )
    // What is larger than any screen is cut.
    const asked = columns === 0 ? '' : `${Math.min(rows, 4096)} ${Math.min(columns, 4096)}`
    await until(
      'the size',
      () => (plain().includes(`.${asked}`) ? true : undefined),
      60_000,
      () => output.slice(0, 500),
    )
    if (columns > 0) pty.resize(rows, columns)
    pty.write('\r')
    await until(
      'the end',
      () => (plain().includes('done-2.') ? true : undefined),
      60_000,
      () => output.slice(-500),
    )
    pty.write('\r')
    expect(await exited).toBe(0)
    const lines = await cast(sid)
    expect(
      lines
        .filter(([, code]) => code === 'o')
        .map(([, , data]) => data)
        .join(''),
    ).toContain('done-2.')
    expect((await tsh('play', sid, '--format=text')).stdout.replaceAll('\n', '')).toContain('done-2.')
    expect(memory(node) - before).toBeLessThan(200)
  })
})

test('R3 commands with line feeds, quotes, invalid UTF-8 and a hundred kilobytes: one line of JSON each, cut and marked', async () => {
  const commands = [
    'true # "quoted" \\ and \'again\' {"event":"user.login"}',
    'true # first\n# second\r\n# {"ei":1}',
    'true # \u2028 \u0000'.replace('\u0000', '\u0007'),
    `true # ${'long '.repeat(20_000)}`,
  ]
  for (const command of commands) expect((await tsh('ssh', `${login}@node-1`, command)).code).toBe(0)
  const credentials = bench.mint()
  const latin = join(cluster.dir, 'latin.sh')
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const argv = [...bench.sshOptions('node', credentials), '-l', login, 'target'].map(quote).join(' ')
  writeFileSync(
    latin,
    Buffer.concat([Buffer.from(`exec ssh ${argv} 'true # inv`), Buffer.of(0xff, 0xc0, 0x80), Buffer.from(`alid'\n`)]),
  )
  expect((await run('sh', [latin])).code).toBe(0)
  await until('all of them', async () =>
    (await events()).filter(({ event }) => event === 'exec').length >= 5 ? true : undefined,
  )
  const out = join(cluster.dir, 'export.jsonl')
  expect((await cluster.tctl('audit', 'export', `--out=${out}`)).code).toBe(0)
  const lines = readFileSync(out, 'utf8').trimEnd().split('\n')
  const executed = lines.map((line) => JSON.parse(line) as AuditRecord).filter(({ event }) => event === 'exec')
  const told = executed.map(({ command }) => String(command))
  for (const command of commands.slice(0, 3)) expect(told).toContain(command)
  const long = executed.find(({ command }) => String(command).includes('long long'))
  expect(String(long?.command).length).toBeLessThan(5000)
  expect(long?.trimmed).toEqual(['command'])
  expect(told.some((command) => /^true # inv\uFFFD+alid$/.test(command))).toBe(true)
  for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThan(70_000)
  expect((await run(bin('tctl'), ['audit', 'verify', `--file=${out}`], { env: cluster.env() })).code).toBe(0)
})

test('R6 what is typed at a prompt without echo is in no recording, no event and no search', async () => {
  const secret = 'hunter2correcthorse'
  const dialog = onTerminal(
    `${tellSid} stty -echo; printf 'Password: '; read -r x; stty echo; echo; echo "length \${#x}."`,
  )
  const sid = await sidOf(dialog)
  await dialog.expect(/Password: /)
  dialog.send(`${secret}\n`)
  await dialog.expect(new RegExp(`length ${secret.length}\\.`))
  expect(await dialog.exited).toBe(0)
  const output = JSON.stringify(await cast(sid))
  expect(output).toContain('Password: ')
  expect(output).not.toContain(secret)
  const search = async (words: string) => (await tsh('recordings', 'ls', `--search=${words}`, '--format=json')).stdout
  await until('the words of the screen', async () => ((await search('Password')).includes(sid) ? true : undefined))
  // Before the search for it: what is searched for is an event too.
  expect(JSON.stringify(await events())).not.toContain(secret)
  expect(JSON.parse(await search(secret))).toEqual([])
})

describe('R5 each leaves its start, its data and its end, and what was done', () => {
  const kinds = (found: readonly AuditRecord[]) => found.map(({ event }) => String(event))
  const known = new Set<unknown>()
  /** The only session of alice since the last look. */
  const newest = async (): Promise<readonly AuditRecord[]> => {
    const sid = await until('a session', async () => {
      const ends = (await events()).filter(({ event, uid }) => event === 'session.end' && !known.has(uid))
      return ends.length > 0 ? String(ends[0]?.sid) : undefined
    })
    await look()
    return await trail(sid)
  }
  const look = async () => {
    for (const { uid } of await events()) known.add(uid)
  }
  const openssh = (program: string, args: readonly string[], more: readonly string[], input = '') =>
    run(program, [...bench.sshOptions('node', bench.mint()), '-o', `User=${login}`, ...args, ...more], { input })

  test.each([
    { name: 'a command', what: ['exec'], work: () => tsh('ssh', `${login}@node-1`, 'echo hello') },
    { name: 'a command on a terminal', what: ['exec'], work: () => tsh('ssh', '-tt', `${login}@node-1`, 'echo hello') },
    {
      name: 'sftp',
      what: ['subsystem', 'sftp.read'],
      work: () => openssh('sftp', ['-b', '-'], ['target'], `get /etc/passwd ${cluster.dir}/got\n`),
    },
    {
      name: 'scp',
      what: ['exec', 'scp'],
      work: () => openssh('scp', ['-O'], ['target:/etc/passwd', join(cluster.dir, 'got2')]),
    },
  ])('$name', async ({ what, work }) => {
    await look()
    const { code, stderr } = await work()
    expect(code, stderr).toBe(0)
    const found = kinds(await newest())
    for (const kind of ['session.start', 'session.data', 'session.end']) {
      expect(
        found.filter((each) => each === kind),
        kind,
      ).toHaveLength(1)
    }
    expect(found).toEqual(expect.arrayContaining(what))
    expect(found.indexOf('session.start')).toBe(0)
  })

  test('a login that is denied', async () => {
    const { code } = await bench.ssh('node', bench.mint({ keyId: 'bob', roles: ['joiner'] }), ['target', 'true'])
    expect(code).not.toBe(0)
    expect(await bench.events('auth', { user: 'bob' })).toMatchObject([{ success: false }])
  })
})

test('R5 somebody who joins and stops reading is dropped with a reason; the program goes on and memory is bounded', async () => {
  const node = pidOf(cluster, 'node')
  const owner = onTerminal(
    `${tellSid} read -r x; head -c 24000000 /dev/zero | tr '\\0' y | fold -w 70; echo done-$((1+1)).; read -r x`,
  )
  const sid = await sidOf(owner)
  const observer = start('bob', ['join', sid, '--mode=observer'])
  await owner.expect(/bob joined/)
  const child = Number(observer.child.pid)
  const before = memory(node)
  process.kill(child, 'SIGSTOP')
  try {
    owner.send('\n')
    await owner.expect(/done-2\./)
    expect(memory(node) - before).toBeLessThan(200)
  } finally {
    process.kill(child, 'SIGCONT')
  }
  await observer.exited
  owner.send('\n')
  expect(await owner.exited).toBe(0)
  const found = await trail(sid)
  expect(found.find(({ event }) => event === 'session.join')).toMatchObject({ user: 'bob', mode: 'observer' })
  expect(found.find(({ event }) => event === 'session.leave')).toMatchObject({
    reason: expect.stringContaining('read'),
  })
})

/** Resolves when what the file says has not changed for a second: its writer waits. */
async function standsStill(file: string): Promise<number> {
  let before = -1
  let since = performance.now()
  return await until('a program that waits', () => {
    const now = Number(readFileSync(file, 'utf8'))
    if (now !== before) {
      before = now
      since = performance.now()
    }
    return now > 0 && performance.now() - since > 1000 ? now : undefined
  })
}

test('R5 an owner who stops reading: the program waits, memory is bounded, and nothing is missing afterwards', async () => {
  const node = pidOf(cluster, 'node')
  const progress = join(cluster.dir, 'progress')
  writeFileSync(progress, '0')
  const owner = onTerminal(
    `${tellSid} read -r x; i=0; while [ $i -lt 200 ]; do head -c 65536 /dev/zero | tr '\\0' y | fold -w 70; i=$((i+1)); echo $i > ${progress}; done; echo done-$((1+1)).; read -r x`,
  )
  const sid = await sidOf(owner)
  const before = memory(node)
  const child = Number(owner.child.pid)
  owner.send('\n')
  await owner.expect(/yyyy/)
  process.kill(child, 'SIGSTOP')
  try {
    expect(await standsStill(progress)).toBeLessThan(200)
    expect(memory(node) - before).toBeLessThan(200)
  } finally {
    process.kill(child, 'SIGCONT')
  }
  await owner.expect(/done-2\./)
  owner.send('\n')
  expect(await owner.exited).toBe(0)
  expect(owner.output.split('y').length - 1).toBe(200 * 65_536)
  await trail(sid)
})

test('F9 a line that delays, cuts and stands still: every byte arrives, and what does not fit waits at its source', async () => {
  const node = pidOf(cluster, 'node')
  const line = await slowLine(cluster.ports.node, { delayMs: 50, bytesPerSecond: 600_000 })
  onTestFinished(() => line.close())
  const argv = ['-o', `Port=${line.port}`, ...bench.sshOptions('node', bench.mint()), '-o', `User=${login}`, 'target']
  const input = Array.from({ length: 30_000 }, (_, n) => `line ${n}`).join('\n')
  const echoed = await run('ssh', [...argv, 'cat; exit 7'], { input })
  expect(echoed, echoed.stderr).toMatchObject({ code: 7, stdout: input })
  const progress = join(cluster.dir, 'progress-of-line')
  writeFileSync(progress, '0')
  const before = memory(node)
  const script = `i=0; while [ $i -lt 1000 ]; do head -c 65536 /dev/zero; i=$((i+1)); echo $i > ${progress}; done`
  const flood = new Dialog('ssh', [...argv, script])
  const { carried } = line
  await until('some of it', () => (line.carried > carried + 300_000 ? true : undefined))
  line.standStill(true)
  expect(await standsStill(progress)).toBeLessThan(1000)
  expect(memory(node) - before).toBeLessThan(100)
  line.standStill(false)
  const now = line.carried
  await until('the rest', () => (line.carried > now + 100_000 ? true : undefined))
  flood.child.kill('SIGKILL')
  await flood.exited
})

describe.skipIf(pidGroups === undefined)('F13 no more processes', () => {
  test('new work is refused with words, what is there lives, and it goes on by itself', async () => {
    const node = pidOf(cluster, 'node')
    const group = join(pidGroups ?? '', `teleport-test-${process.pid}`)
    const set = (file: string, value: string | number) => writeFileSync(join(group, file), String(value))
    const session = onTerminal(`${tellSid} while read -r x; do echo "said $x."; done`)
    await sidOf(session)
    mkdirSync(group)
    try {
      set('cgroup.procs', node)
      set('pids.max', readFileSync(join(group, 'pids.current'), 'utf8').trim())
      const refused = await tsh('ssh', `${login}@node-1`, 'echo in')
      expect(refused.stdout).toBe('')
      expect(refused.code).not.toBe(0)
      expect(refused.stderr).toMatch(/Resource temporarily unavailable|try again|cannot start/i)
      session.send('one\n')
      await session.expect(/said one\./)
      set('pids.max', 'max')
      expect(await tsh('ssh', `${login}@node-1`, 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
      expect(pidOf(cluster, 'node')).toBe(node)
    } finally {
      for (const pid of readFileSync(join(group, 'cgroup.procs'), 'utf8').trim().split('\n')) {
        writeFileSync(join(pidGroups ?? '', 'cgroup.procs'), pid)
      }
      await until('an empty group', () => {
        if (readFileSync(join(group, 'cgroup.procs'), 'utf8') !== '') return undefined
        rmdirSync(group)
        return true
      })
    }
    session.send('\u0004')
    expect(await session.exited).toBe(0)
  })
})

test('O5 sessions that end in every way leave no process, descriptor, terminal or file behind', async () => {
  const node = pidOf(cluster, 'node')
  const counts = () => {
    const children = readFileSync(`/proc/${node}/task/${node}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter((pid) => pid !== '')
    const terminals = readdirSync(`/proc/${node}/fd`).filter((fd) => linkOf(`/proc/${node}/fd/${fd}`).includes('ptmx'))
    const records = readdirSync(join(cluster.dir, 'data/node/recordings')).filter((name) => name.endsWith('.rec'))
    return {
      children: children.length,
      terminals: terminals.length,
      records: records.length,
      fds: readdirSync(`/proc/${node}/fd`).length,
    }
  }
  const round = async () => {
    const dialogs = ['kill -9 $$', 'kill -TERM $$', 'exit 3', 'sleep 1000', 'sleep 1000'].map((last) =>
      onTerminal(`${tellSid} ${last}`),
    )
    const sids = await Promise.all(dialogs.map(sidOf))
    dialogs[3]?.child.kill('SIGKILL')
    dialogs[4]?.child.kill('SIGTERM')
    await Promise.all(dialogs.map(({ exited }) => exited))
    for (const sid of sids) await trail(sid, 'session.upload')
  }
  await round()
  const before = counts()
  for (let count = 0; count < 2; count++) await round()
  await until(
    'nothing left',
    () => {
      const { children, terminals, records } = counts()
      return children <= before.children && terminals === 0 && records === 0 ? true : undefined
    },
    60_000,
    () => JSON.stringify([before, counts()]),
  )
  // Connections of earlier clients may still be closing.
  expect(counts().fds).toBeLessThan(before.fds + 10)
})

test('a clock that jumps: the times of a recording do not go back, and the log keeps its order', async () => {
  const dialog = onTerminal(`${tellSid} while read -r x; do echo "said $x."; done`)
  const sid = await sidOf(dialog)
  try {
    for (const [count, seconds] of [0, -7200, 1200, -600, 0].entries()) {
      shift(seconds)
      // So that the next words are said by the new clock.
      await new Promise((resolve) => setTimeout(resolve, 150))
      dialog.send(`${count}\n`)
      await dialog.expect(new RegExp(`said ${count}\\.`))
    }
  } finally {
    shift(0)
  }
  dialog.send('\u0004')
  expect(await dialog.exited).toBe(0)
  const times = (await cast(sid)).map(([time]) => time)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect(times.at(-1)).toBeLessThan(60)
  const found = await trail(sid)
  expect(found[0]).toMatchObject({ event: 'session.start' })
  const verdict = await cluster.tctl('audit', 'verify')
  expect(verdict.stdout, verdict.stderr).toMatch(/^The audit log is whole and unchanged/)
})
