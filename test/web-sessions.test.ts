/** Sessions in the browser: recordings found, watched and taken along; open sessions joined, watched and moderated. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type IPty, spawn } from 'node-pty'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listPresence } from '../src/api/routes.ts'
import { type Cluster, login, startCluster } from './cluster.ts'
import { bin, cleanEnv, until } from './run.ts'
import { openBrowser, Visitor } from './web-page.ts'

let cluster: Cluster
let browser: Browser
let alice: Visitor
let bob: Visitor
const open: IPty[] = []
const homes: Record<string, string> = {}

const roles = {
  joiner: { join_sessions: [{ name: 'all', roles: ['access'], modes: ['peer', 'observer'] }] },
  guard: { join_sessions: [{ name: 'all', roles: ['*'], modes: ['observer', 'moderator'] }] },
}

/** What a program does to the terminal of those who watch it, if they let it. */
const hostile = String.raw`\033]8;;javascript:alert(1)\033\\a link\033]8;;\033\\\033]52;c;aGFja2Vk\007\033]0;hacked\007\033[6n\033[?1000h\033[?1003h`
/** A quiet beginning, a middle with colours and hostility, a long pause, an end. */
const story = `
printf 'once upon a time\\n'; sleep 1
printf '\\033[31mred\\033[0m and \\033[44mblue\\033[0m <img src=x onerror=alert(1)>\\n'
printf '${hostile}\\n'; sleep 7
printf 'the needle in the haystack\\n'; sleep 1
clear; printf 'they lived happily ever after\\n'; sleep 1
`

async function record(): Promise<void> {
  const file = join(cluster.dir, 'story.sh')
  writeFileSync(file, story)
  const env = cleanEnv({ TERM: 'xterm-256color', ...cluster.env({ TELEPORT_HOME: homes.alice ?? '' }) })
  const pty = spawn(bin('tsh'), ['ssh', '-t', `${login}@node-1`, `bash ${file}`], { cols: 80, rows: 24, env })
  open.push(pty)
  const exited = new Promise<void>((resolve) => pty.onExit(() => resolve()))
  let output = ''
  pty.onData((text) => {
    output += text
    if (output.includes('blue')) pty.resize(100, 30)
  })
  await exited
  expect(output).toContain('happily')
}

beforeAll(async () => {
  cluster = await startCluster()
  for (const [name, allow] of Object.entries(roles)) {
    await cluster.admin.create(JSON.stringify({ kind: 'role', version: 'v4', metadata: { name }, spec: { allow } }))
  }
  await cluster.addUser('alice', { roles: 'access' })
  await cluster.addUser('bob', { roles: 'joiner' })
  await cluster.addUser('carol', { roles: 'guard' })
  await cluster.addUser('erin', { roles: 'access' })
  homes.alice = await cluster.login('alice')
  const recording = record()
  browser = await openBrowser()
  alice = await Visitor.open(browser, cluster, /status of 40[134]/)
  bob = await Visitor.open(browser, cluster, /status of 40[134]/)
  await alice.login('alice')
  await bob.login('bob')
  await recording
})

afterAll(async () => {
  for (const pty of open) pty.kill('SIGKILL')
  await browser?.close()
  await cluster?.remove()
})

const recorded = () => alice.page.locator('.stage .xterm-rows')
const recordedShows = (wanted: string) =>
  until(`${wanted} in the player`, async () => ((await recorded().innerText()).includes(wanted) ? true : undefined))
const position = async () => {
  const [, minutes, seconds] = /(\d+):(\d+) \//.exec(await alice.page.getByTestId('position').innerText()) ?? []
  return Number(minutes) * 60 + Number(seconds)
}
const press = (key: string) => alice.page.keyboard.press(key)
const accesses = async (): Promise<readonly string[]> => {
  const read = await cluster.events({ type: 'session.recording.access' })
  return read.map(({ user, action }) => `${user} ${action}`)
}

describe('recordings', () => {
  test('are listed with a picture, and searched by what was on the screen', async () => {
    const { page } = alice
    await page.getByRole('link', { name: 'Recordings', exact: true }).click()
    await page.getByRole('heading', { name: 'Recordings' }).waitFor()
    await page.locator('.thumbnail[data-state=there] canvas').waitFor()
    await alice.look('recordings')
    await page.getByRole('searchbox').fill('needle')
    await page.keyboard.press('Enter')
    const hit = await until('the hit', async () => {
      const link = page.getByRole('link', { name: /^Play from \d\d:\d\d.*the needle in the haystack/ })
      if ((await link.count()) > 0) return link
      await page.reload()
      await page.waitForLoadState('networkidle')
      return undefined
    })
    expect(new URL(page.url()).search).toBe('?search=needle')
    await page.locator('.thumbnail[data-state=there] canvas').waitFor()
    await alice.look('recordings-search')
    await hit.click()
    await recordedShows('the needle in the haystack')
    expect(await position()).toBeGreaterThanOrEqual(7)
  })

  test('W2 play, pause, go both ways at once, with the screen of that time; what was recorded touches nothing', async () => {
    const { page } = alice
    await page.evaluate("navigator.clipboard.writeText('mine')")
    await page.getByRole('button', { name: 'Play again' }).waitFor()
    await recordedShows('they lived happily ever after')
    const end = await position()
    await press('ArrowLeft')
    await until('ten seconds earlier', async () => ((await position()) === Math.max(0, end - 10) ? true : undefined))
    await press('Home')
    await until('the beginning', async () => ((await position()) === 0 ? true : undefined))
    expect(await recorded().innerText()).not.toContain('needle')
    await press('.')
    await recordedShows('once upon a time')
    await page.getByRole('button', { name: /^Go to .*The terminal became 100 × 30/ }).click()
    await recordedShows('<img src=x onerror=alert(1)>')
    expect(await page.title()).toMatch(/^alice as .* on node-1 · feat$/)
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe('mine')
    // A click on what the program called a link, and text that can be selected although it wanted the mouse.
    await page.locator('.stage').getByText('a link').click({ force: true })
    await page.locator('.stage').getByText('once upon').dblclick({ force: true })
    await page.getByRole('button', { name: 'Copy the selected text, or the screen' }).click()
    await until('a word on the clipboard', async () =>
      /^(once|upon|a|time)$/.test(String(await page.evaluate('navigator.clipboard.readText()'))) ? true : undefined,
    )
    // Where it stands still comes into the address a moment later.
    await page.waitForURL(/at=[\d.]+$/)
    await alice.look('player')
  })

  test('idle time is skipped, and the speed chosen', async () => {
    const { page } = alice
    await page.locator('.player').focus()
    await press('Home')
    await press(' ')
    await page.getByRole('button', { name: 'Pause', exact: true }).click()
    await page.getByRole('button', { name: 'Speed: 1 times' }).click()
    await page.getByRole('menuitemradio', { name: '4×', exact: true }).waitFor()
    await alice.lookOver('menu-speed')
    await page.getByRole('menuitemradio', { name: '4×', exact: true }).click()
    await page.getByLabel('Skip idle time').check()
    await page.getByRole('button', { name: 'Play', exact: true }).click()
    await page.getByRole('button', { name: 'Play again' }).waitFor()
    await recordedShows('they lived happily ever after')
  })

  test('are taken along as asciicast and as text; each use is in the audit log', async () => {
    const { page } = alice
    const download = async (name: RegExp) => {
      await page.getByRole('button', { name: 'Download' }).click()
      const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name }).click()])
      return { name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8') }
    }
    const cast = await download(/asciicast/)
    expect(cast.name).toMatch(/^[0-9a-f-]{36}\.cast$/)
    expect(JSON.parse(cast.text.split('\n')[0] ?? '')).toMatchObject({ version: 2, width: 80, height: 24 })
    expect(cast.text).toContain('the needle in the haystack')
    const plain = await download(/As text/)
    expect(plain.text).toMatch(/once upon a time\nred and blue[\s\S]*the needle in the haystack\n[\s\S]*happily/)
    const { stdout } = await cluster.tsh(homes.alice ?? '', ['play', cast.name.slice(0, 36), '--format=text'])
    expect(plain.text).toBe(stdout)
    expect(await accesses()).toEqual(
      expect.arrayContaining(['alice thumbnail', 'alice search', 'alice play', 'alice export', 'alice text']),
    )
  })

  test('a link to a moment leads there, and not for those without the right', async () => {
    const { page } = alice
    await page.getByRole('button', { name: 'Copy a link to this moment' }).click()
    await page.getByText('Link copied').waitFor()
    const link = String(await page.evaluate('navigator.clipboard.readText()')).replace(/at=.*/, 'at=1')
    await page.goto(link)
    await recordedShows('once upon a time')
    // Another moment of the same recording, and back again, while the player is open.
    const later = new URL(link.replace(/at=.*/, 'at=9'))
    await page.evaluate(`history.pushState(null, '', ${JSON.stringify(later.pathname + later.search)})`)
    await recordedShows('the needle in the haystack')
    await page.goBack()
    await until('the needle to be gone', async () =>
      (await recorded().innerText()).includes('needle') ? undefined : true,
    )
    await bob.page.goto(link)
    await bob.page.getByText('There is no such recording, or your roles do not let you see it.').waitFor()
    await bob.page.getByRole('link', { name: 'All recordings' }).click()
    await bob.page.getByRole('heading', { name: 'No recordings yet' }).waitFor()
  })
})

describe('open sessions', () => {
  let shell: IPty
  let output = ''
  let exited: Promise<void>
  let sid = ''
  const aliceSees = (wanted: string) =>
    until(`${wanted} in alice's terminal`, () => (output.includes(wanted) ? true : undefined))
  const joined = (person: Visitor) => person.page.locator('.joined .xterm-rows')
  const sees = (person: Visitor, wanted: string) =>
    until(`${wanted} in the joined terminal`, async () =>
      (await joined(person).innerText()).includes(wanted) ? true : undefined,
    )

  beforeAll(() => {
    const env = cleanEnv({ TERM: 'xterm-256color', ...cluster.env({ TELEPORT_HOME: homes.alice ?? '' }) })
    const command = 'PS1="ready> " exec bash --norc --noprofile --noediting -i'
    shell = spawn(bin('tsh'), ['ssh', '-t', `${login}@node-1`, command], { cols: 80, rows: 24, env })
    open.push(shell)
    shell.onData((text) => {
      output += text
    })
    exited = new Promise((resolve) => shell.onExit(() => resolve()))
  })

  test('are listed live with who is in them, and joined as the roles allow', async () => {
    const { page } = bob
    await aliceSees('ready> ')
    await page.getByRole('link', { name: 'Sessions', exact: true }).click()
    await page.getByRole('link', { name: /^alice as/ }).waitFor()
    await page.getByText('1 open session').waitFor()
    await page.getByText('In it: alice').waitFor()
    await bob.look('sessions')
    await page.getByRole('button', { name: /^…: alice/ }).click()
    expect(await page.getByRole('menuitem').allInnerTexts()).toEqual(['Only watch'])
    await bob.lookOver('menu-join')
    sid = (await page.getByRole('link', { name: /^alice as/ }).getAttribute('href'))?.split('/').at(-1) ?? ''
    await page.getByRole('menuitem', { name: 'Only watch' }).click()
    // A tab among one's own terminals, which stays while other pages are looked at.
    await page.getByRole('button', { name: `alice as ${login} on node-1`, exact: true }).waitFor()
    await sees(bob, 'you joined the session of alice as observer')
    await sees(bob, 'ready>')
    await aliceSees('bob joined')
    await page.getByRole('link', { name: 'Sessions', exact: true }).click()
    await page.getByText('In it: alice, bob (observer)').waitFor()
    await page.getByRole('link', { name: /^Terminals/ }).click()
    expect(output).not.toContain('bob left')
  })

  test('W12 an observer types nothing, neither in the page nor beside it', async () => {
    const { page } = bob
    await page.getByText('You watch. What you type is not sent.').waitFor()
    await page.locator('.joined textarea').focus()
    await page.keyboard.type('echo from-$((1+1))-observer')
    await page.keyboard.press('Enter')
    const forced = await joinRaw(bob, 'observer', 'echo from-$((2+1))-observer\r')
    expect(forced).toContain('ready')
    await page.getByText('alice, bob (observer)').waitFor()
    await bob.look('session-joined')
    await page.getByRole('button', { name: 'Leave' }).click()
    await page.getByRole('heading', { name: 'No terminal is open' }).waitFor()
    await page.goto(`/web/sessions/${sid}`)
    await page.getByRole('button', { name: /^Join and type: alice/ }).click()
    await sees(bob, 'as peer')
    await page.keyboard.type('echo from-$((40+2))-peer')
    await page.keyboard.press('Enter')
    await sees(bob, 'from-42-peer')
    await aliceSees('from-42-peer')
    expect(output).not.toMatch(/from-[23]-|-observer/)
    // A reload joins again, in the same way.
    await page.reload()
    await page.getByText('You type into this session.').waitFor()
    await sees(bob, 'as peer')
    await sees(bob, 'from-42-peer')
    await page.keyboard.type('echo back-$((40+3))-peer')
    await page.keyboard.press('Enter')
    await aliceSees('back-43-peer')
  })

  test('W12 nobody joins a session by its id without a right, or in another way than theirs', async () => {
    expect(await joinRaw(bob, 'moderator', '')).toContain('your roles let you join this session as peer or observer')
    const erin = await Visitor.open(browser, cluster, /status of 40[134]/)
    await erin.login('erin')
    await erin.page.getByRole('link', { name: 'Sessions', exact: true }).click()
    await erin.page.getByRole('heading', { name: 'No open sessions' }).waitFor()
    await erin.page.goto(`/web/sessions/${sid}?mode=peer`)
    await erin.page.getByRole('heading', { name: 'This session is not open' }).waitFor()
    expect(await joinRaw(erin, 'peer', '')).toContain('that you may join')
    await erin.context.close()
  })

  test('a moderator pauses, lets it go on, and ends it', async () => {
    const carol = await Visitor.open(browser, cluster, /status of 40[134]/)
    const { page } = carol
    await carol.login('carol')
    await page.goto(`/web/sessions/${sid}?mode=moderator`)
    await page.getByRole('button', { name: 'Pause' }).waitFor()
    await carol.look('session-moderated')
    await page.getByRole('button', { name: 'Pause' }).click()
    await aliceSees('carol paused the session')
    await page.getByRole('button', { name: 'Let it go on' }).click()
    await aliceSees('carol lets the session go on')
    // Bob's page is away while it ends.
    await bob.page.goto('about:blank')
    await page.getByRole('button', { name: 'End the session' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'End the session' }).click()
    await aliceSees('carol ended the session')
    await exited
    await page.locator('.joined .ended').waitFor()
    await page.getByRole('button', { name: 'Leave' }).click()
    await page.getByRole('heading', { name: 'No terminal is open' }).waitFor()
    await page.goto(`/web/sessions/${sid}`)
    await page.getByRole('heading', { name: 'This session is not open' }).waitFor()
    expect(carol.problems).toEqual([])
    await carol.context.close()
    await bob.page.goto('/web/terminal')
    await bob.page.locator('.joined .ended').getByText('You were in this session before. It has ended, or').waitFor()
    await bob.look('session-not-back')
    // What is over is not tried for ever.
    await bob.page.reload()
    await bob.page.getByRole('heading', { name: 'No terminal is open' }).waitFor()
  })

  /** Joins with a WebSocket of one's own, types, and gives all notices that came until an answer to a ping, or the end. */
  async function joinRaw(person: Visitor, mode: string, typed: string): Promise<string> {
    const nodes = await cluster.admin.answer((api) => api.call(listPresence, { query: { role: 'node' } }))
    const node = nodes?.items[0]?.uuid ?? ''
    const query = new URLSearchParams({ node, join: sid, mode, columns: '80', rows: '24' })
    const join = async ({ address, typing }: { address: string; typing: string }) => {
      const state = (await (await fetch('/webapi/session')).json()) as { csrfToken: string }
      const protocols = ['teleport.terminal.v1', `csrf.${state.csrfToken}`]
      const socket = new WebSocket(address, protocols)
      return await new Promise<string>((resolve) => {
        let said = ''
        socket.onmessage = ({ data }) => {
          if (typeof data !== 'string') return
          said += data
          if (data.includes('"ready"')) {
            socket.send(new TextEncoder().encode(typing))
            socket.send(JSON.stringify({ type: 'ping', id: 1 }))
          }
          if (data.includes('"pong"') && typing !== '') socket.close(1000)
        }
        socket.onclose = () => resolve(said)
      })
    }
    const argument = { address: `wss://${cluster.proxyAddress}/webapi/terminal?${query}`, typing: typed }
    return await person.page.evaluate(join, argument)
  }
})

test('nothing went wrong in the browsers', () => {
  expect([...alice.problems, ...bob.problems]).toEqual([])
})
