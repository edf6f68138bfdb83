/** Recordings when a disk is full, auth is away or files are damaged: nothing that was acknowledged is lost, what is missing is told, and nothing hangs. */

import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { CallOutput } from '../../src/api/client.ts'
import { verifyEvents } from '../../src/api/routes.ts'
import type { RecordingRow } from '../admin.ts'
import { Cluster, freePorts, login, temporaryDirectory } from '../cluster.ts'
import { pidOf } from '../processes.ts'
import { bin, Dialog, until } from '../run.ts'
import { type Bench, openBench } from './bench.ts'

const mount = (size: string, path: string): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', path], { stdio: 'ignore' }).status === 0
const unmount = (path: string) => spawnSync('umount', ['-l', path], { stdio: 'ignore' })
const probe = temporaryDirectory()
const canMount = mount('1m', probe)
unmount(probe)
rmSync(probe, { recursive: true, force: true })

let cluster: Cluster
let bench: Bench
let disks: { readonly auth: string; readonly spool: string }
const homes: Record<string, string> = {}

/** Not a byte is left afterwards. */
function fill(disk: string): void {
  for (const size of ['1M', '4k', '1']) {
    const script = `dd if=/dev/zero bs=${size} oflag=append conv=notrunc of="$0" 2>/dev/null`
    spawnSync('sh', ['-c', script, join(disk, 'filler')])
  }
}
const giveBack = (disk: string) => rmSync(join(disk, 'filler'), { force: true })

/** A session on a terminal whose program does what is sent to it, line by line. */
class Shell extends Dialog {
  sid = ''

  constructor(user: string) {
    const script = 'stty -echo; echo "sid=$SSH_SESSION_ID."; while read -r line; do eval "$line"; done; echo over'
    const env = cluster.env({ TELEPORT_HOME: homes[user] ?? '', TERM: 'xterm' })
    super(bin('tsh'), ['ssh', '-tt', `${login}@node-1`, script], { env })
  }

  async opened(): Promise<this> {
    this.sid = (await this.expect(/sid=([0-9a-f-]{36})\./))[1] ?? ''
    return this
  }

  /** Runs it, and waits for a word that only its end prints. */
  async does(command: string, word: string): Promise<void> {
    this.send(`${command}; printf '%s-%s.\\n' done ${word}\n`)
    await this.expect(new RegExp(`done-${word}\\.`))
  }

  async finish(): Promise<number> {
    this.send('exit 0\n')
    return await this.exited
  }
}

/** Output that no compression makes smaller. */
const noise = (bytes: number) => `head -c ${bytes} /dev/urandom | base64 -w 76`
const shell = (user: string) => new Shell(user).opened()

async function recording(sid: string): Promise<RecordingRow | undefined> {
  return (await cluster.admin.recordings()).find((each) => each.sid === sid)
}
const complete = (sid: string) =>
  until(`the recording ${sid}`, async () => {
    const found = await recording(sid)
    return found === undefined || found.state === 'running' ? undefined : found
  })
const exported = (sid: string, format: 'text' | 'cast' = 'text') =>
  cluster.tsh(homes.alice ?? '', ['recordings', 'export', sid, `--format=${format}`, '--out=-'])
const eventsOf = (type: string, sid: string) => cluster.events({ type, session: sid })
const spooled = (...of: readonly Shell[]) =>
  readdirSync(disks.spool).filter((name) => name.endsWith('.rec') && of.some(({ sid }) => name.startsWith(sid)))
const emptied = (...of: readonly Shell[]) =>
  until(
    'an empty spool',
    () => (spooled(...of).length === 0 ? true : undefined),
    60_000,
    () => spooled(...of).join(),
  )
const flip = (path: string, at: (size: number) => number) => {
  const bytes = readFileSync(path)
  const place = at(bytes.length)
  bytes.writeUInt8(bytes.readUInt8(place) ^ 0x20, place)
  writeFileSync(path, bytes)
}

describe.runIf(canMount)('recordings', () => {
  let processes: readonly string[]
  afterEach(() => Object.values(disks).forEach(giveBack))

  beforeAll(async () => {
    cluster = new Cluster(temporaryDirectory(), await freePorts(), {})
    const data = join(cluster.dir, 'data')
    disks = { auth: join(data, 'auth'), spool: join(data, 'node', 'recordings') }
    for (const [path, size] of [[disks.auth, '48m'] as const, [disks.spool, '10m'] as const]) {
      mkdirSync(path, { recursive: true, mode: 0o700 })
      if (!mount(size, path)) throw new Error('cannot mount')
    }
    await cluster.start()
    bench = await openBench(cluster)
    const spec = {
      allow: { logins: [login], node_labels: { '*': '*' } },
      options: { record_session: { default: 'strict' } },
    }
    await cluster.admin.create(JSON.stringify({ kind: 'role', version: 'v4', metadata: { name: 'strict' }, spec }))
    for (const [name, roles] of [['alice', 'access,auditor'] as const, ['sam', 'strict'] as const]) {
      await cluster.addUser(name, { roles })
      homes[name] = await cluster.login(name)
    }
    processes = bench.processes()
  })
  afterAll(async () => {
    await bench?.api.close()
    await cluster?.stop()
    for (const path of Object.values(disks ?? {})) unmount(path)
    await cluster?.remove()
  })

  test('F10 the disk of the spool is full: sessions go on with a gap that is told, strict ones end and none begin', async () => {
    const [lenient, strict] = await Promise.all([shell('alice'), shell('sam')])
    await lenient.does('echo before the gap', 'one')
    await until('its first chunk', async () =>
      (await exported(lenient.sid)).stdout.includes('before') ? true : undefined,
    )
    fill(disks.spool)
    strict.send(`${noise(400_000)}\n`)
    await lenient.does(noise(400_000), 'two')
    await strict.expect(/this session cannot be recorded: .*no space left/)
    expect(await strict.exited).not.toBe(0)
    // What was there is sent meanwhile, and leaves room again: for a session of a few words that may be enough.
    const refused = await until('a refusal', async () => {
      fill(disks.spool)
      const result = await cluster.tsh(homes.sam ?? '', ['ssh', '-tt', `${login}@node-1`, 'echo never'])
      return result.code === 0 ? undefined : result
    })
    expect(refused.stdout + refused.stderr).toMatch(/record.*no space left/)
    expect(refused.stdout).not.toContain('never')
    await lenient.does('echo still here', 'three')
    const told = await until('the event', async () => {
      const found = await eventsOf('session.recording.failed', lenient.sid)
      return found.length > 0 ? found : undefined
    })
    expect(told).toHaveLength(1)
    giveBack(disks.spool)
    // Recorded again a second later at the latest, without a restart of anything.
    await until('the next chunk', async () => {
      await lenient.does('echo after the gap', `x${Date.now()}`)
      return (await exported(lenient.sid, 'cast')).stdout.includes('were not recorded') ? true : undefined
    })
    await lenient.does('echo all is well', 'four')
    expect(await lenient.finish()).toBe(0)
    expect(await complete(lenient.sid)).toMatchObject({ state: 'complete', failure: expect.stringMatching(/no space/) })
    const { stdout } = await exported(lenient.sid, 'cast')
    expect(stdout).toMatch(/"m",\s*"\d{6} bytes of output were not recorded: .*no space/)
    expect(stdout).toContain('before the gap')
    expect(stdout).toContain('all is well')
    expect(bench.processes()).toEqual(processes)
    const again = await shell('sam')
    expect(await again.finish()).toBe(0)
  })

  test('F11 the disk of auth is full: chunks stay with the node and come later; people log in; what leaves no record is refused; alarms tell', async () => {
    const session = await shell('alice')
    await session.does('echo before', 'one')
    fill(disks.auth)
    await session.does(noise(300_000), 'two')
    await until('an alarm', async () =>
      /FULL|no recordings are taken/.exec((await cluster.tctl('status')).stdout) ? true : undefined,
    )
    const refused = await until('a refusal', async () => {
      const result = await cluster.tctl('users', 'add', `u${Date.now()}`, `--logins=${login}`, '--roles=access')
      return result.code === 0 ? undefined : result
    })
    expect(refused.stderr).toMatch(/space|disk/i)
    homes.alice = await cluster.login('alice')
    expect(await session.finish()).toBe(0)
    expect(spooled(session).length).toBeGreaterThan(0)
    expect(cluster.process?.output).toMatch(/no recordings are taken|no space left/)
    giveBack(disks.auth)
    expect(await complete(session.sid)).toMatchObject({ state: 'complete' })
    await emptied(session)
    const { stdout, stderr } = await exported(session.sid)
    expect(stderr).toBe('')
    expect(stdout).toMatch(/before[\s\S]*done-two\./)
    expect(stdout.length).toBeGreaterThan(400_000)
    expect(await eventsOf('session.recording.failed', session.sid)).toEqual([])
    expect((await cluster.tctl('audit', 'verify')).stdout).toMatch(/^The audit log is whole and unchanged/)
    await until('no alarm', async () =>
      /FULL|no recordings/.exec((await cluster.tctl('status')).stdout) ? undefined : true,
    )
    expect(bench.processes()).toEqual(processes)
  })

  test('F6 F7 auth is away: sessions begin and go on, megabytes wait, all of it arrives once and in order', async () => {
    const running = await shell('alice')
    const auth = pidOf(cluster, 'auth')
    const fresh: Shell[] = []
    process.kill(auth, 'SIGSTOP')
    try {
      await running.does(noise(1_500_000), 'long')
      for (let count = 0; count < 3; count++) {
        const session = await shell('alice')
        fresh.push(session)
        await session.does(`echo new-${count}`, 'away')
        expect(await session.finish()).toBe(0)
      }
      expect(spooled(running, ...fresh).length).toBeGreaterThan(3)
    } finally {
      process.kill(auth, 'SIGCONT')
    }
    expect(await running.finish()).toBe(0)
    for (const { sid } of [running, ...fresh]) expect(await complete(sid)).toMatchObject({ state: 'complete' })
    expect((await exported(running.sid)).stdout.length).toBeGreaterThan(2_000_000)
    const order = ['session.start', 'session.end', 'session.upload']
    for (const [count, { sid }] of fresh.entries()) {
      expect((await exported(sid)).stdout).toContain(`new-${count}`)
      const kinds = (await Promise.all(order.map((kind) => eventsOf(kind, sid)))).map((found) => found.length)
      expect(kinds).toEqual([1, 1, 1])
    }
    const starts = await cluster.events({ type: 'session.start' })
    const wanted = fresh.map(({ sid }) => sid)
    const heard = starts.map(({ sid }) => String(sid)).filter((sid) => wanted.includes(sid))
    expect([wanted, wanted.toReversed()]).toContainEqual(heard)
    await emptied(running, ...fresh)
  })

  test('R1 a byte of the spool that changes before it is sent: given up with one event, and kept for a person', async () => {
    const session = await shell('alice')
    const auth = pidOf(cluster, 'auth')
    process.kill(auth, 'SIGSTOP')
    try {
      // Several chunks: one is on its way already.
      await session.does(noise(2_500_000), 'spoilt')
      expect(await session.finish()).toBe(0)
      const [file] = spooled(session)
      flip(join(disks.spool, file ?? ''), (size) => size - 200_000)
    } finally {
      process.kill(auth, 'SIGCONT')
    }
    await until('the event', async () =>
      (await eventsOf('session.recording.failed', session.sid)).length > 0 ? true : undefined,
    )
    expect(await eventsOf('session.recording.failed', session.sid)).toHaveLength(1)
    const kept = await until('the quarantine', () => {
      const names = readdirSync(join(disks.spool, 'quarantine'))
      return names.some((name) => name.startsWith(session.sid)) ? names : undefined
    })
    expect(kept).toHaveLength(1)
    expect(spooled(session)).toEqual([])
    // What came before the damage is there and good.
    expect((await exported(session.sid)).stdout).toContain('sid=')
    expect(await shell('alice').then((next) => next.finish())).toBe(0)
  })

  describe('damage on the disk of auth', () => {
    let sid: string
    const root = () => join(disks.auth, 'recordings')
    const file = (of: string, extension: string) => {
      const name = readdirSync(root(), { recursive: true, encoding: 'utf8' }).find((each) =>
        each.endsWith(`${of}.${extension}`),
      )
      return join(root(), name ?? 'none')
    }
    const verify = async () => {
      let last: CallOutput<typeof verifyEvents> | undefined
      for await (last of bench.api.stream(verifyEvents, { query: {} }));
      return last?.result
    }
    /** Changed while auth runs, and put back as it was. */
    async function altered<T>(path: string, change: (content: Buffer) => Buffer, look: () => Promise<T>): Promise<T> {
      const before = readFileSync(path)
      writeFileSync(path, change(Buffer.from(before)))
      try {
        return await look()
      } finally {
        writeFileSync(path, before)
      }
    }
    const flipped = (at: number, bits: number) => (content: Buffer) => {
      content.writeUInt8(content.readUInt8(at) ^ bits, at)
      return content
    }

    beforeAll(async () => {
      const session = await shell('alice')
      await session.does('echo the beginning', 'begin')
      for (const part of ['a', 'b', 'c', 'd']) await session.does(noise(900_000), part)
      await session.does('echo the end', 'end')
      expect(await session.finish()).toBe(0)
      sid = session.sid
      await complete(sid)
    })

    test('R1 a chunk that was changed or cut out is named, and the rest can be read', async () => {
      const path = file(sid, 'cast.zst')
      const size = statSync(path).size
      const third = Math.floor(size / 3)
      const changes = [
        flipped(third, 1),
        (content: Buffer) => Buffer.concat([content.subarray(0, third), content.subarray(2 * third)]),
      ]
      for (const change of changes) {
        await altered(path, change, async () => {
          const verdict = await cluster.tctl('audit', 'verify')
          expect(verdict.code).toBe(1)
          expect(verdict.stdout).toMatch(new RegExp(`^BAD: recording ${sid}, chunk [1-9]`))
          const { stdout, stderr } = await exported(sid)
          expect(stdout).toContain('the beginning')
          expect(stderr).toMatch(/^warning: \d+ pieces? of the recording could not be read$/m)
          if (change === changes[0]) expect(stdout).toContain('the end')
        })
      }
      expect(await verify()).toBeNull()
    })

    test('R1 any byte of a recording', async () => {
      for (const extension of ['cast.zst', 'index', 'done']) {
        const path = file(sid, extension)
        for (let count = 0; count < 5; count++) {
          const at = randomInt(statSync(path).size)
          await altered(path, flipped(at, 1 << randomInt(8)), async () =>
            expect(await verify(), `byte ${at} of ${extension}`).toMatchObject({ what: 'recording', sid }),
          )
        }
      }
      expect(await verify()).toBeNull()
    })

    test('R1 any byte of a stored event, while auth runs', async () => {
      // What was written last lies beside the file until a clean end.
      await cluster.stop()
      const path = join(disks.auth, 'events.sqlite')
      const database = new DatabaseSync(path, { readOnly: true })
      const rows = database.prepare('SELECT ei, body, hash FROM events ORDER BY ei').all()
      // Their hashes stand in the checkpoints too.
      const signed = new Set(
        database
          .prepare('SELECT ei FROM checkpoints')
          .all()
          .map(({ ei }) => ei),
      )
      database.close()
      await cluster.start()
      const whole = readFileSync(path)
      const known = rows.slice(0, Math.floor(rows.length * 0.8)).filter(({ ei }) => !signed.has(ei))
      let tried = 0
      while (tried < 24) {
        const row = known[randomInt(known.length)]
        const text = Buffer.from(String(tried % 3 === 0 ? row?.hash : row?.body))
        const start = whole.indexOf(text)
        // A long one goes on in another page.
        if (start < 0) continue
        const at = start + randomInt(text.length)
        tried++
        const fd = openSync(path, 'r+')
        try {
          writeSync(fd, Buffer.of(whole.readUInt8(at) ^ (1 << randomInt(8))), 0, 1, at)
          expect(await verify(), `byte ${at} of event ${row?.ei}`).toMatchObject({ ei: row?.ei })
        } finally {
          writeSync(fd, whole, at, 1, at)
          closeSync(fd)
        }
      }
      expect(await verify()).toBeNull()
    })
  })

  test('F6 R2 with node-sync nothing is shown that auth has not stored: sessions end, and none begin, with the reason', async () => {
    await cluster.stop()
    const config = readFileSync(cluster.config, 'utf8')
    writeFileSync(cluster.config, config.replace('auth_service:\n', 'auth_service:\n  session_recording: node-sync\n'))
    await cluster.start()
    const session = await shell('alice')
    await session.does('echo shown', 'one')
    const auth = pidOf(cluster, 'auth')
    process.kill(auth, 'SIGSTOP')
    try {
      session.send('echo never-$((40 + 2))\n')
      const refused = cluster.tsh(homes.alice ?? '', ['ssh', '-tt', `${login}@node-1`, 'echo never'])
      expect(await session.ended()).not.toBe(0)
      expect(session.output).toMatch(/this session cannot be recorded: .*auth/)
      expect(session.output).not.toContain('never-42')
      const { code, stdout, stderr } = await refused
      expect(code).not.toBe(0)
      expect(stdout).not.toContain('never')
      expect(stdout + stderr).toMatch(/record/)
    } finally {
      process.kill(auth, 'SIGCONT')
    }
    const next = await until('a session', async () => {
      const shown = await cluster.tsh(homes.alice ?? '', ['ssh', '-tt', `${login}@node-1`, 'echo again'])
      return shown.stdout.includes('again') ? shown : undefined
    })
    expect(next.code).toBe(0)
    expect(await complete(session.sid)).toBeDefined()
    expect((await exported(session.sid)).stdout).toContain('shown')
  })
})
