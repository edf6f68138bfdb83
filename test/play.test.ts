/** Replay in a real pseudo-terminal: the player's keys, and that a session looks as it looked. */

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type IPty, spawn } from 'node-pty'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EntryReader } from '../src/audit/recording/cast-entry.ts'
import { Screen } from '../src/audit/recording/screen.ts'
import { type Cluster, login, startCluster, temporaryDirectory } from './cluster.ts'
import { bin, cleanEnv, Dialog, run, succeed, until } from './run.ts'

/** A program in a terminal of which the screen can be read. */
class Window {
  readonly pty: IPty
  readonly screen: Screen
  readonly exited: Promise<number>
  /** What the program wrote, with milliseconds since its start. */
  readonly output: (readonly [number, string])[] = []
  #written = Promise.resolve()

  constructor(
    file: string,
    args: readonly string[],
    size: readonly [number, number],
    env: Record<string, string> = {},
  ) {
    const [cols, rows] = size
    const started = Date.now()
    this.screen = new Screen(cols, rows)
    this.pty = spawn(file, [...args], {
      cols,
      rows,
      name: 'xterm-256color',
      env: cleanEnv({ TERM: 'xterm-256color', LANG: 'C.UTF-8', ...env }),
    })
    this.pty.onData((text) => {
      this.output.push([Date.now() - started, text])
      this.#written = this.screen.write(text)
    })
    this.exited = new Promise((resolve) => this.pty.onExit(({ exitCode }) => resolve(exitCode)))
  }

  resize(columns: number, rows: number): void {
    this.pty.resize(columns, rows)
    this.screen.resize(columns, rows)
  }

  async lines(): Promise<string[]> {
    await this.#written
    return this.screen.lines()
  }

  async shows(pattern: RegExp): Promise<void> {
    let text = ''
    await until(
      `${pattern} on the screen`,
      async () => {
        text = (await this.lines()).join('\n')
        return pattern.test(text) ? true : undefined
      },
      60_000,
      () => text,
    )
  }

  /** Waits until the upper left part of the screen has these rows. */
  async looksLike(wanted: readonly string[]): Promise<void> {
    let rows: string[] = []
    await until(
      'the same screen',
      async () => {
        rows = (await this.lines()).slice(0, wanted.length)
        return rows.join('\n') === wanted.join('\n') ? true : undefined
      },
      60_000,
      () => `--- wanted\n${wanted.join('\n')}\n--- shown\n${rows.join('\n')}`,
    )
  }

  /** Waits until nothing changes any more. */
  async settles(): Promise<void> {
    let [before, since] = ['', 0]
    await until('a screen that stays', async () => {
      const now = (await this.lines()).join('\n')
      since = now === before ? since + 1 : 0
      before = now
      return since >= 6 ? true : undefined
    })
  }

  type(text: string): void {
    this.pty.write(text)
  }
}

interface Entry {
  readonly time: number
  readonly data?: string
  readonly columns?: number
  readonly rows?: number
}

/** The time, in seconds, at which these entries show these lines. */
async function momentOf(lines: readonly string[], entries: readonly Entry[]): Promise<number> {
  const screen = new Screen(80, 24)
  for (const { time, data, columns, rows } of entries) {
    if (columns !== undefined && rows !== undefined) screen.resize(columns, rows)
    else await screen.write(data ?? '')
    if (screen.lines().join('\n') === lines.join('\n')) return time
  }
  throw new Error(`the recording never shows:\n${lines.join('\n')}`)
}

/** A hundred times as slow as it was recorded, so that no moment is over before a busy machine has looked at it. */
const seconds = (ms: number) => (ms / 10).toFixed(3)

describe('a recording in a file', () => {
  const dir = temporaryDirectory()
  const file = join(dir, 'vim.cast')
  /** The screen at the moments that are looked at. */
  const moments: { readonly atMs: number; readonly lines: string[] }[] = []

  beforeAll(async () => {
    const shell = new Window('bash', ['--norc', '--noprofile', '--noediting'], [70, 18], { PS1: 'ready> ' })
    const moment = async (pattern: RegExp) => {
      await shell.shows(pattern)
      moments.push({ atMs: shell.output.at(-1)?.[0] ?? 0, lines: await shell.lines() })
    }
    await shell.shows(/ready>/)
    shell.type("printf '\\e[1;31mgrüße\\e[0m 日本 🚀 e\u0301|\\n'\r")
    await moment(/^grüße 日本 🚀 e\u0301\|\nready>/m)
    shell.type(`vim.tiny -u NONE ${join(dir, 'new.txt')}\r`)
    await shell.shows(/~\n.*new\.txt/)
    shell.type('iin vim\u001b:set number\r')
    await moment(/^ +1 in vim$/m)
    shell.type(':q!\r')
    await shell.shows(/new\.txt\nready>/)
    shell.type('clear; seq 5\r')
    await moment(/^5\nready>/m)
    shell.type('exit 0\r')
    await shell.exited
    const lines = shell.output.map(([ms, text]) => JSON.stringify([Number(seconds(ms)), 'o', text]))
    writeFileSync(file, `{"version": 2, "width": 70, "height": 18}\n${lines.join('\n')}\n`)
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  const play = (size: readonly [number, number], ...args: readonly string[]) =>
    new Window(bin('tsh'), ['play', file, ...args], size)

  test('plays to its end and leaves the last screen behind', async () => {
    const player = play([100, 30], '--speed=64', '--skip-idle-time')
    expect(await player.exited).toBe(0)
    await player.shows(/^4\n5\nready> exit 0$/m)
    const all = player.output.map(([, text]) => text).join('')
    expect(all).toContain('\u001b[?1049h')
    expect(all.slice(all.lastIndexOf('\u001b[?1049l'))).toContain('exit 0')
  })

  test('each moment looks as it looked, in either direction', async () => {
    const player = play([100, 30], '--speed=0.1')
    player.type(' ')
    await player.shows(/paused/)
    player.type('G')
    await player.shows(/at the end/)
    // Backwards and forwards by starting over at each moment.
    player.type('q')
    expect(await player.exited).toBe(0)
    for (const { atMs, lines } of [...moments].reverse()) {
      const there = play([100, 30], `--at=${seconds(atMs)}`, '--speed=0.1')
      await there.looksLike(lines)
      there.type(' g')
      await there.shows(/paused {2}00:00/)
      there.type('q')
      expect(await there.exited).toBe(0)
    }
  })

  test('a smaller terminal is not garbled, and gets its size back', async () => {
    const [, inVim] = moments
    const player = play([30, 6], `--at=${seconds(inVim?.atMs ?? 0)}`, '--speed=0.1')
    await player.looksLike((inVim?.lines ?? []).slice(0, 5).map((line) => line.slice(0, 30).trimEnd()))
    player.resize(100, 30)
    await player.looksLike(inVim?.lines ?? [])
    player.pty.kill('SIGTERM')
    expect(await player.exited).toBe(143)
    expect(player.output.map(([, text]) => text).join('')).toMatch(/\u001b\[\?25h\u001b\[\?1049l$/)
  })

  test('as text, JSON and asciicast, which asciinema reads', async () => {
    const text = await succeed(bin('tsh'), ['play', file])
    expect(text).toContain('grüße 日本 🚀 e\u0301|')
    expect(text).toMatch(/1 in vim\n[\s\S]*\n5\n/)
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
    const json = await succeed(bin('tsh'), ['play', file, '--format=json'])
    expect(
      json
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { type: string }).type),
    ).toContain('output')
    const copy = join(dir, 'copy.cast')
    writeFileSync(copy, await succeed(bin('tsh'), ['play', file, '--format=cast']))
    const shown = new Window('asciinema', ['cat', copy], [70, 18])
    expect(await shown.exited).toBe(0)
    const original = new Window('asciinema', ['cat', file], [70, 18])
    await original.exited
    expect(await shown.lines()).toEqual(await original.lines())
    const packed = join(dir, 'copy.cast.zst')
    await succeed('zstd', ['-q', copy, '-o', packed])
    expect(await succeed(bin('tsh'), ['play', packed])).toBe(text)
  })

  test.each([
    [['play', '/nonexistent.cast'], /no such file|does not exist/],
    [['play', bin('tsh')], /no asciicast/],
    [['play', '/dev/zero'], /not a regular file/],
    [['play', '--speed=fast', 'x'], /--speed/],
    [['play', '--format=text', '--at=5', 'x'], /--at is for playing/],
  ])('%j is refused in one line', async (args, message) => {
    const { code, stderr, stdout } = await run(bin('tsh'), args)
    expect(stderr).toMatch(message)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect([code === 0, stdout]).toEqual([false, ''])
  })
})

describe('a recorded session', () => {
  let cluster: Cluster
  let home: string
  let sid: string
  let live: Window
  let inVim: string[]

  beforeAll(async () => {
    cluster = await startCluster()
    await cluster.addUser('alice')
    home = await cluster.login('alice')
    const env = cluster.env({ TELEPORT_HOME: home })
    const socket = join(cluster.dir, 'tmux.sock')
    live = new Window(
      bin('tsh'),
      ['ssh', '-t', `${login}@node-1`, 'PS1="ready> " LANG=C.UTF-8 exec bash --norc --noprofile --noediting -i'],
      [80, 24],
      env,
    )
    await live.shows(/ready>/)
    live.type('echo "sid=$SSH_SESSION_ID"\r')
    await live.shows(/sid=[0-9a-f]{8}-/)
    sid = /sid=([0-9a-f-]{36})/.exec((await live.lines()).join('\n'))?.[1] ?? ''
    live.type(`vim.tiny -u NONE ${join(cluster.dir, 'new.txt')}\r`)
    await live.shows(/~\n.*new\.txt/)
    live.resize(100, 30)
    live.type('iwords 日本 to find\u001b:set number\r')
    await live.shows(/^ +1 words 日本 to find$/m)
    await live.settles()
    inVim = await live.lines()
    live.type(':q!\r')
    await live.shows(/new\.txt\nready>/)
    live.type(`tmux -S ${socket} -f /dev/null new-session 'top -d 0.3'\r`)
    await live.shows(/PID +USER[\s\S]*\[0\]/)
    live.resize(70, 20)
    await until('tmux in the new size', async () =>
      (await live.lines())[19]?.startsWith('[0] 0:top') ? true : undefined,
    )
    live.type('q')
    await live.shows(/\[exited\]/)
    live.type('echo "the en""d"; exit 0\r')
    expect(await live.exited).toBe(0)
    await until('the complete recording', async () => {
      const all = await cluster.admin.recordings()
      return all.some((each) => each.sid === sid && each.state === 'complete') ? true : undefined
    })
  })
  afterAll(async () => await cluster.remove())

  const play = (...args: readonly string[]) =>
    new Window(bin('tsh'), ['play', sid, ...args], [110, 34], cluster.env({ TELEPORT_HOME: home }))

  test('ends as it ended, and looks in the middle as it looked', async () => {
    const json = await cluster.tsh(home, ['play', sid, '--format=json'])
    const entries = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry & { type: string })
    expect(entries.filter(({ type }) => type === 'resize').map(({ columns }) => columns)).toEqual(
      expect.arrayContaining([100, 70]),
    )
    const end = entries.at(-1)?.time ?? 0
    const player = play(`--at=${end + 1}`)
    await player.shows(/at the end/)
    await player.looksLike(await live.lines())
    player.type('q')
    expect(await player.exited).toBe(0)
    const again = play(`--at=${await momentOf(inVim, entries)}`, '--speed=0.1')
    await again.looksLike(inVim)
    again.type('q')
    await again.exited
  })

  test('is listed for who took part and for administrators', async () => {
    const { stdout } = await cluster.tsh(home, ['recordings', 'ls'])
    expect(stdout).toMatch(/^ID +Type +Participants +Node +Login +Started +Duration +Size +State$/m)
    expect(stdout).toMatch(
      new RegExp(
        `^${sid} +\\w+ +alice +node-1 +${login} +\\d+ \\w+ \\d+ [\\d:]+ UTC +\\d\\d:\\d\\d +[\\d.]+ \\w+ +complete$`,
        'm',
      ),
    )
    expect((await cluster.tsh(home, ['recordings', 'ls', '--user=nobody-else', '--format=json'])).stdout.trim()).toBe(
      '[]',
    )
    expect((await cluster.tctl('recordings', 'ls')).stdout).toContain(sid)
  })

  test('is found by what was on its screen, with the command that shows it', async () => {
    const hint = await until('the words in the index', async () => {
      const { stdout } = await cluster.tsh(home, ['recordings', 'ls', '--search=words to find'])
      return /^ +[\d:]+ {2}.*to find.*\n +tsh play (\S+) --at=(\d+)$/m.exec(stdout) ?? undefined
    })
    expect(hint[1]).toBe(sid)
    const player = play(`--at=${hint[2]}`)
    await player.shows(/words 日本 to find/)
    player.type('q')
    expect(await player.exited).toBe(0)
    expect((await cluster.tsh(home, ['recordings', 'ls', '--search=neverthere', '--format=json'])).stdout.trim()).toBe(
      '[]',
    )
  })

  test('is exported once, completely, for its owner alone', async () => {
    const out = join(cluster.dir, 'copy.cast')
    const first = await cluster.tsh(home, ['recordings', 'export', sid, `--out=${out}`])
    expect(first).toMatchObject({ code: 0, stdout: `${out}\n` })
    expect(statSync(out).mode & 0o777).toBe(0o600)
    const shown = new Window('asciinema', ['cat', out], [100, 30])
    expect(await shown.exited).toBe(0)
    const reader = new EntryReader()
    const kinds = readFileSync(out, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => reader.read(line)?.type)
    expect(new Set(kinds)).toEqual(new Set(['output', 'resize']))
    const again = await cluster.tsh(home, ['recordings', 'export', sid, `--out=${out}`])
    expect(again.code).toBe(1)
    expect(again.stderr).toMatch(/exists already/)
    expect((await cluster.tctl('recordings', 'export', sid, `--out=${out}`, '--overwrite', '--format=text')).code).toBe(
      0,
    )
    expect(readFileSync(out, 'utf8')).toContain('words 日本 to find')
    expect((await cluster.tsh(home, ['recordings', 'export', sid, '--format=json', '--out=-'])).stdout).toContain(
      '"type":"output"',
    )
  })

  test('one that goes on is followed, by a player and as lines', async () => {
    const env = cluster.env({ TELEPORT_HOME: home })
    const listed = () => cluster.admin.recordings()
    // One that ended a moment ago may still be on its way.
    const earlier = new Set((await listed()).map(({ sid }) => sid))
    const open = new Window(bin('tsh'), ['ssh', '-t', `${login}@node-1`, 'cat'], [80, 24], env)
    open.type('one\r')
    await open.shows(/one\none/)
    const running = await until('the recording that goes on', async () => {
      const found = (await listed()).find(({ sid, durationMs }) => !earlier.has(sid) && durationMs > 0)
      return found?.sid
    })
    const player = new Window(bin('tsh'), ['play', running, '--follow'], [100, 30], env)
    const lines = new Dialog(bin('tsh'), ['play', running, '--follow', '--format=json'], { env })
    await player.shows(/one\none/)
    await lines.expect(/one/)
    open.type('two\r')
    await player.shows(/two\ntwo/)
    await lines.expect(/two/)
    open.type('\u0004')
    expect(await open.exited).toBe(0)
    expect(await player.exited).toBe(0)
    expect(await lines.exited).toBe(0)
  })

  test('one that does not exist', async () => {
    const { code, stderr } = await cluster.tsh(home, ['play', '00000000-0000-4000-8000-000000000000'])
    expect(stderr).toMatch(/not found|no recording|does not exist/)
    expect(code).toBe(1)
  })
})
