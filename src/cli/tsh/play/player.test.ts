import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { CastEntry } from '../../../audit/recording/cast-entry.ts'
import { type PlayerAction as Action, Player } from '../../../audit/recording/play/player.ts'
import type { PlaySource } from '../../../audit/recording/play/source.ts'
import { Screen } from '../../../audit/recording/screen.ts'
import { fakeEnv } from '../../../common/fake-env.ts'
import { inMemory } from './byte-source.ts'
import { Display } from './display.ts'
import { FileSource } from './file-source.ts'
import { KeyReader } from './keys.ts'

const view = { columns: 60, rows: 6 }

/** `n` at every full second from 0 on, a mark at 2.5 s, another size at 4 s, then nothing until 100 s. */
const cast = [
  '{"version": 2, "width": 40, "height": 5}',
  '[0, "o", "0 "]',
  '[1, "o", "1 "]',
  '[2, "o", "2 "]',
  '[2.5, "m", "bob joined"]',
  '[3, "o", "3 "]',
  '[4, "r", "50x5"]',
  '[4, "o", "4 "]',
  '[100, "o", "end"]',
].join('\n')

async function start(
  options: { speed?: number; skipIdle?: boolean; atMs?: number; source?: PlaySource; stays?: boolean } = {},
) {
  const env = fakeEnv()
  const viewer = new Screen(view.columns, view.rows)
  const source = options.source ?? (await FileSource.open(inMemory(Buffer.from(cast))))
  const display = new Display({ size: source.header, view, write: (text) => viewer.write(text) })
  const player = new Player({
    source,
    env,
    screen: display.screen,
    paint: (state) => display.paint(state),
    turn: () => setImmediate(),
    stays: options.stays ?? false,
    speed: options.speed ?? 1,
    skipIdle: options.skipIdle ?? false,
    atMs: options.atMs ?? 0,
  })
  const stopping = new AbortController()
  const outcome: { value?: 'ended' | 'quit'; error?: unknown } = {}
  const done = player.run(stopping.signal).then(
    (value) => {
      outcome.value = value
    },
    (error: unknown) => {
      outcome.error = error
    },
  )
  /** Waits for what is shown; the clock stands still meanwhile. */
  const shows = async (pattern: RegExp) => {
    for (let turn = 0; turn < 2000; turn++) {
      if (pattern.test(viewer.lines().join('\n'))) return
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(viewer.lines().join('\n')).toMatch(pattern)
  }
  /** Lets time pass, in steps that the player can follow. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 50) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      await env.advance(Math.min(50, left))
    }
  }
  const press = (...types: (Action['type'] | number)[]) => {
    for (const type of types) {
      player.press(typeof type === 'number' ? { type: 'seek', by: type } : ({ type } as Action))
    }
  }
  return { env, viewer, display, player, outcome, done, shows, pass, press, stopping }
}

describe('playing', () => {
  test('output appears when it is due, and not before', async () => {
    const { shows, pass, viewer, done, outcome, stopping } = await start()
    await shows(/^0/)
    await pass(950)
    expect(viewer.lines()[0]).toBe('0')
    await pass(100)
    await shows(/^0 1/)
    await pass(3000)
    await shows(/^0 1 2 3 4/)
    expect(outcome).toEqual({})
    stopping.abort(new Error('enough'))
    await done
    expect(outcome.error).toEqual(new Error('enough'))
  })
  test('speed', async () => {
    const { shows, pass, done, outcome } = await start({ speed: 50 })
    await shows(/^0/)
    await pass(100)
    await shows(/^0 1 2 3 4/)
    await pass(2000)
    await done
    expect(outcome.value).toBe('ended')
  })
  test('times without output are shortened', async () => {
    const { pass, done, outcome, env } = await start({ skipIdle: true })
    await pass(5500)
    await done
    expect(outcome.value).toBe('ended')
    expect(env.monotonicMs()).toBeLessThan(6000)
  })
  test('pause, step, go on; the line at the bottom is there only then', async () => {
    const { shows, pass, press, viewer } = await start()
    await shows(/^0/)
    expect(viewer.lines().at(-1)).toBe('')
    press('pause')
    await shows(/paused {2}00:00 \/ 01:40 {2}1x/)
    await pass(5000)
    expect(viewer.lines()[0]).toBe('0')
    press('step')
    await shows(/^0 1\n[\s\S]*paused {2}00:01/)
    press('step')
    await shows(/^0 1 2\n[\s\S]*paused {2}00:02/)
    press('pause')
    await shows(/playing {2}00:02/)
    await pass(2600)
    await shows(/^0 1 2 3 4\n/)
    await pass(3000)
    await shows(/^0 1 2 3 4\n\n\n\n\n$/)
  })
  test('both ways, with the size of that time, and not beyond the ends', async () => {
    const { shows, press, display } = await start({ atMs: 50_000 })
    await shows(/^0 1 2 3 4\n[\s\S]*/)
    expect(display.screen.columns).toBe(50)
    press('pause', -47_000)
    await shows(/^0 1 2 3\n[\s\S]*00:03/)
    expect(display.screen.columns).toBe(40)
    press(-10_000)
    await shows(/^0\n[\s\S]*00:00/)
    press(1000, 1000)
    await shows(/^0 1 2\n[\s\S]*00:02/)
    press(500_000)
    await shows(/^0 1 2 3 4 end\n[\s\S]*at the end {2}01:40/)
    press('start')
    await shows(/^0\n[\s\S]*00:00/)
    press('end')
    await shows(/end\n[\s\S]*at the end/)
  })
  test('a mark is told for a moment', async () => {
    const { shows, pass } = await start()
    await pass(2700)
    await shows(/playing {2}00:02 [^\n]*\* bob joined/)
    await pass(3000)
    await shows(/^(?![\s\S]*joined)/)
  })
  test('help, faster, slower, idle, quit', async () => {
    const { shows, press, done, outcome, pass, viewer } = await start()
    press('help')
    await shows(/space +pause/)
    await pass(3000)
    expect(viewer.lines().join('')).not.toContain('0 1')
    press('help')
    press('faster', 'faster')
    await shows(/ 2x/)
    press('slower', 'idle')
    await shows(/ 1.5x {2}skips idle/)
    press('quit')
    await done
    expect(outcome.value).toBe('quit')
  })
  test('another size of the terminal', async () => {
    const { shows, player, display, viewer } = await start()
    await shows(/^0/)
    viewer.resize(30, 4)
    await viewer.write('\u001b[2Jrubbish')
    display.resize({ columns: 30, rows: 4 })
    player.repaint()
    await shows(/^0\n\n\n$/)
  })
  test('to a time, at a speed; who stays at the end sees all of it again', async () => {
    const { shows, player, pass, press, outcome } = await start({ stays: true })
    await shows(/^0/)
    player.press({ type: 'to', atMs: 3200 })
    player.press({ type: 'speed', speed: 16 })
    await shows(/^0 1 2 3\n[\s\S]*00:03 [^\n]*16x/)
    await pass(7000)
    await shows(/end\n[\s\S]*at the end {2}01:40/)
    expect(outcome).toEqual({})
    press('pause')
    await shows(/^0\n[\s\S]*playing/)
  })
  test('what reading throws', async () => {
    const source: PlaySource = {
      header: { columns: 80, rows: 24 },
      durationMs: () => 1000,
      growing: () => false,
      settled: async () => undefined,
      async *from(): AsyncGenerator<CastEntry> {
        yield { type: 'output', atMs: 0, text: 'x' }
        throw new Error('the connection was lost')
      },
      close: async () => undefined,
    }
    const { done, outcome } = await start({ source })
    await done
    expect(outcome.error).toEqual(new Error('the connection was lost'))
  })
  test('a keyframe begins a part that is read from the middle, at the size that follows it', async () => {
    const source: PlaySource = {
      header: { columns: 20, rows: 2 },
      durationMs: () => 10_000,
      growing: () => false,
      settled: async () => undefined,
      async *from(atMs): AsyncGenerator<CastEntry> {
        if (atMs < 5000) yield { type: 'output', atMs: 0, text: 'beginning' }
        yield { type: 'keyframe', atMs: 5000, text: '\u001b[3;1Hkeyframe' }
        yield { type: 'resize', atMs: 5000, columns: 50, rows: 5 }
        yield { type: 'output', atMs: 6000, text: '!' }
        yield { type: 'output', atMs: 9000, text: '?' }
      },
      close: async () => undefined,
    }
    const { shows, press } = await start({ source })
    await shows(/^beginning/)
    press('pause', 7000)
    await shows(/^\n\nkeyframe!/)
    press('start')
    await shows(/^beginning\n\n/)
    // Who comes to it from before has that screen already.
    press(5500)
    await shows(/keyframe/)
  })
})

test('a session that goes on: what comes is shown when it comes, and a jump to the end does not end it', async () => {
  let more = Promise.withResolvers<CastEntry>()
  const source: PlaySource = {
    header: { columns: 40, rows: 5 },
    durationMs: () => 5000,
    growing: () => true,
    settled: async () => undefined,
    async *from(): AsyncGenerator<CastEntry> {
      yield { type: 'output', atMs: 1000, text: 'before ' }
      for (;;) yield await more.promise
    },
    close: async () => undefined,
  }
  const { shows, pass, press, done, outcome, env } = await start({ source, atMs: Number.POSITIVE_INFINITY })
  await pass(3500)
  await shows(/^before/)
  const entry = { type: 'output', atMs: 5500, text: 'now' } as const
  const [old, next] = [more, Promise.withResolvers<CastEntry>()]
  more = next
  old.resolve(entry)
  await pass(1000)
  await shows(/^before now/)
  press('end')
  for (let turn = 0; turn < 100 && env.sleeping() === 0; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
  await pass(3500)
  press('quit')
  await done
  expect(outcome).toEqual({ value: 'quit' })
})

describe('keys', () => {
  test.each([
    [' ', ['pause']],
    ['q', ['quit']],
    ['\u0003', ['quit']],
    ['\u001b[C\u001b[D', [10_000, -10_000]],
    ['\u001bOC', [10_000]],
    ['\u001b[1;2C[', [60_000, -60_000]],
    ['+-=.i?s', ['faster', 'slower', 'faster', 'step', 'idle', 'help', 'status']],
    ['\u001b[H\u001b[F', ['start', 'end']],
    ['\u001b[A\u001b[5~\u001b[200~x\u001b[201~é', []],
    ['\u001bq', []],
  ])('%j', (typed, wanted) =>
    expect(new KeyReader().read(typed).map((action) => ('by' in action ? action.by : action.type))).toEqual(wanted),
  )
  test('a sequence in pieces', () => {
    const keys = new KeyReader()
    expect(['\u001b', '[', '1;', '2', 'C'].map((piece) => keys.read(piece))).toEqual([
      [],
      [],
      [],
      [],
      [{ type: 'seek', by: 60_000 }],
    ])
  })
})
