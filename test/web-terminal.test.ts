/** Terminals in a browser that last: lost connections, a proxy that is killed, panes, the clipboard, floods. */

import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, login, startCluster } from './cluster.ts'
import { pidOf } from './processes.ts'
import { until } from './run.ts'
import { openBrowser, Visitor } from './web-page.ts'

let cluster: Cluster
let browser: Browser
let visitor: Visitor
let page: Page

beforeAll(async () => {
  cluster = await startCluster({
    auth: `  authentication: {type: local, second_factor: off}\n  session_detach_timeout: 5m`,
  })
  await cluster.addUser('alice', { roles: 'access,auditor' })
  browser = await openBrowser()
  // A proxy that was killed does not answer, and one that has just begun cannot answer everything.
  visitor = await Visitor.open(
    browser,
    cluster,
    /status of (40[134]|503)|ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection/,
  )
  page = visitor.page
  await visitor.login('alice')
})

afterAll(async () => {
  await browser?.close()
  await cluster?.remove()
})

async function connect(): Promise<void> {
  await page.getByRole('link', { name: /^Servers/ }).click()
  await page.getByRole('button', { name: `Connect to node-1 as ${login}` }).click()
  await visitor.prompt()
}

describe('a terminal in the page', () => {
  test('comes back to the same shell with its screen when the proxy is killed and started again', async () => {
    await connect()
    await visitor.type(`PS1='> '; kept=$((6*7)); echo before-$kept`)
    await visitor.shows('before-42')
    const pid = pidOf(cluster, 'proxy')
    process.kill(pid, 'SIGKILL')
    await page.getByText('Going back to the same shell').waitFor()
    await until('another proxy', async () => ([0, pid].includes(pidOf(cluster, 'proxy')) ? undefined : true))
    await page.getByText('Going back to the same shell').waitFor({ state: 'detached', timeout: 120_000 })
    await visitor.shows('before-42')
    await visitor.type('echo after-$((kept+1))')
    await visitor.shows('after-43')
  })

  test('and after a reload of the page', async () => {
    await page.reload()
    await page.getByRole('link', { name: /^Terminals/ }).click()
    await visitor.shows('after-43')
    await visitor.type('echo again-$((kept+2))')
    await visitor.shows('again-44')
  })

  test('is taken leave of by closing it: the shell ends at once', async () => {
    await visitor.type('echo $$ > shell.pid; echo wrote-$((1+1))')
    await visitor.shows('wrote-2')
    await page.getByRole('button', { name: `Close ${login}@node-1` }).click()
    await page.getByRole('heading', { name: 'No terminal is open' }).waitFor()
    await until('the end of the session', async () => {
      const all = await cluster.events({ user: 'alice' })
      return all.some(({ event }) => event === 'session.end') ? true : undefined
    })
  })

  test('a reload of the proxy leaves it where it is, or brings it back to the same shell', async () => {
    await connect()
    await visitor.type(`PS1='> '; kept=$((6*8)); echo before-$kept`)
    await visitor.shows('before-48')
    const before = pidOf(cluster, 'proxy')
    cluster.process?.child.kill('SIGHUP')
    await cluster.process?.expect(/INFO {2}reloaded/)
    await until('a new proxy', async () => ([0, before].includes(pidOf(cluster, 'proxy')) ? undefined : true))
    await visitor.type('echo after-$((kept+1))')
    await visitor.shows('after-49')
  })

  test('a burst of 100 MB does not freeze the page, and Ctrl-C ends it', async () => {
    await connect()
    await visitor.type(`PS1='> '; clear; yes burst-of-lines | head -c 100000000; echo burst-$((40+2))-over`)
    await visitor.shows('burst-of-lines')
    // So often the page drew something else in between, and a click was answered.
    const frame = '(async () => { for (let i = 0; i < 20; i++) await new Promise(requestAnimationFrame) })()'
    await page.evaluate(frame)
    await page.getByRole('button', { name: 'Settings of the terminal' }).click()
    await page.getByRole('menuitem', { name: 'Larger text' }).waitFor()
    await page.keyboard.press('Escape')
    expect(await visitor.screen().innerText()).toContain('burst-of-lines')
    await page.locator('.pane.current .terminal:visible textarea').focus()
    await page.keyboard.press('Control+C')
    await visitor.prompt()
    await visitor.type('clear; echo usable-$((40+3))')
    await visitor.shows('usable-43')
    expect(await visitor.screen().innerText()).not.toContain('burst-42-over')
  })

  test('a file that is cancelled on its way leaves nothing that looks whole, in either direction', async () => {
    await connect()
    const home = join(cluster.dir, 'cancelled')
    const source = join(cluster.dir, 'big.bin')
    mkdirSync(home)
    writeFileSync(source, '')
    truncateSync(source, 4_000_000_000)
    writeFileSync(join(home, 'big.bin'), 'what was there')
    await page.getByRole('button', { name: 'Files', exact: true }).click()
    await page.getByLabel('Send to the directory').fill(home)
    const chosen = page.waitForEvent('filechooser')
    await page.getByRole('button', { name: 'Send files' }).click()
    await (await chosen).setFiles(source)
    await page.getByRole('button', { name: 'Replace it' }).click()
    const part = () => readdirSync(home).find((name) => name.endsWith('.part'))
    await until('a part of it', () => {
      const name = part()
      return name !== undefined && statSync(join(home, name)).size > 1_000_000 ? true : undefined
    })
    await page.getByRole('button', { name: 'Cancel big.bin' }).click()
    await page.getByText('What was sent is removed from the server; nothing there was replaced.').waitFor()
    await until('the part to go', () => (part() === undefined ? true : undefined))
    expect(readdirSync(home)).toEqual(['big.bin'])
    expect(readFileSync(join(home, 'big.bin'), 'utf8')).toBe('what was there')

    let saved = 0
    page.on('download', () => saved++)
    await page.getByRole('button', { name: 'Take big.bin off the list' }).click()
    await page.getByLabel('Fetch the file').fill(source)
    await page.getByRole('button', { name: 'Fetch', exact: true }).click()
    await page
      .getByRole('list', { name: 'Files on their way' })
      .getByText(/[1-9]\d* %/)
      .waitFor()
    await page.getByRole('button', { name: 'Cancel big.bin' }).click()
    await page.getByText('Nothing was saved.').waitFor()
    await until('what was removed, and what was not read whole, in the audit log', async () => {
      const all = await cluster.events({ user: 'alice' })
      const removed = all.some(({ event, path }) => event === 'sftp.remove' && String(path).endsWith('.part'))
      return removed && all.some(({ event, partial }) => event === 'sftp.read' && partial === true) ? true : undefined
    })
    expect(saved).toBe(0)
    await page.getByRole('button', { name: 'Take big.bin off the list' }).click()
    await page.keyboard.press('Escape')
  })

  test('W13 files are sent by a button and a drop, fetched by their path, whole, and audited', async () => {
    await connect()
    const bytes = randomBytes(5_000_000)
    const home = join(cluster.dir, 'files')
    mkdirSync(home)
    await page.getByRole('button', { name: 'Files', exact: true }).click()
    await page.getByLabel('Send to the directory').fill(home)
    const chosen = page.waitForEvent('filechooser')
    await page.getByRole('button', { name: 'Send files' }).click()
    await (await chosen).setFiles({ name: '<img src=x>.bin', mimeType: 'application/octet-stream', buffer: bytes })
    const list = page.getByRole('list', { name: 'Files on their way' })
    await list.getByText('done').waitFor()
    expect(readFileSync(join(home, '<img src=x>.bin')).equals(bytes)).toBe(true)
    await visitor.look('files')

    const fetched = page.waitForEvent('download')
    await page.getByLabel('Fetch the file').fill(join(home, '<img src=x>.bin'))
    await page.getByRole('button', { name: 'Fetch', exact: true }).click()
    const file = await fetched
    expect(readFileSync(await file.path()).equals(bytes)).toBe(true)

    const again = page.waitForEvent('filechooser')
    await page.getByRole('button', { name: 'Send files' }).click()
    await (await again).setFiles({ name: '<img src=x>.bin', mimeType: 'text/plain', buffer: Buffer.from('short') })
    await page.getByText('there is such a file already').waitFor()
    await page.getByRole('button', { name: 'Replace it' }).click()
    await until('the file replaced', async () =>
      readFileSync(join(home, '<img src=x>.bin'), 'utf8') === 'short' ? true : undefined,
    )
    await page.getByLabel('Fetch the file').fill(join(home, 'nothing'))
    await page.getByRole('button', { name: 'Fetch', exact: true }).click()
    await list
      .getByRole('alert')
      .getByText(/no such file/i)
      .waitFor()
    await until('both in the audit log', async () => {
      const names = (await cluster.events({ user: 'alice' })).map(({ event }) => event)
      return ['sftp.write', 'sftp.read'].every((name) => names.includes(name)) ? true : undefined
    })
    await until('that the subsystem did not fail, either', async () => {
      const codes = (await cluster.events({ type: 'subsystem' })).map(({ code }) => code)
      return codes.includes('T3001I') ? true : undefined
    })
    await page.keyboard.press('Escape')

    const drop = await page.evaluateHandle(`(() => {
      const data = new DataTransfer()
      data.items.add(new File(['dropped'], 'dropped-by-a-test.txt'))
      return data
    })()`)
    const target = page.locator('.pane.current .terminal:visible').first()
    await target.dispatchEvent('dragover', { dataTransfer: drop })
    await page.getByText('Drop to send to the home directory of').waitFor()
    await visitor.lookOver('drop')
    await target.dispatchEvent('drop', { dataTransfer: drop })
    // What becomes of it is seen without a click, and the next key is still the shell's.
    await list.getByText('dropped-by-a-test.txt').waitFor()
    await page.keyboard.type('echo typed-after-the-drop\n')
    await visitor.shows('typed-after-the-drop')
    await page.getByRole('button', { name: 'Files', exact: true }).click()
    await list.waitFor({ state: 'detached' })
    const dropped = join(homedir(), 'dropped-by-a-test.txt')
    try {
      await until('the file dropped', async () =>
        existsSync(dropped) && readFileSync(dropped, 'utf8') === 'dropped' ? true : undefined,
      )
    } finally {
      rmSync(dropped, { force: true })
    }
  })

  test('everything is reached by Ctrl+K and the keyboard alone', async () => {
    await page.getByRole('link', { name: /^Servers/ }).click()
    await page.getByRole('heading', { name: 'Servers' }).waitFor()
    await page.keyboard.press('Control+K')
    await page.getByRole('combobox', { name: 'Go to or do' }).waitFor()
    await visitor.look('palette')
    await page.keyboard.type('account')
    await page.getByRole('option', { name: /^Account/ }).waitFor()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Account' }).waitFor()
    await page.keyboard.press('Control+K')
    await page.keyboard.type('node-1')
    await page.getByRole('option', { name: `${login}@node-1` }).waitFor()
    await page.keyboard.press('Enter')
    await visitor.prompt()
    // In a terminal it is the shell's own key.
    await page.keyboard.press('Control+K')
    expect(await page.getByRole('combobox', { name: 'Go to or do' }).count()).toBe(0)
    await page.keyboard.press('Control+Shift+K')
    await page.getByRole('combobox', { name: 'Go to or do' }).waitFor()
    await page.keyboard.press('Escape')
  })

  test('has the colours one chose, to its edges; on a phone the places are in a menu', async () => {
    await page.getByRole('button', { name: 'Settings of the terminal' }).click()
    const paper = page.getByRole('menuitemradio', { name: 'Paper' })
    expect(await paper.getAttribute('aria-checked')).toBe('false')
    await paper.click()
    expect(await paper.getAttribute('aria-checked')).toBe('true')
    await page.getByRole('menuitemcheckbox', { name: 'Programs may write to the clipboard' }).waitFor()
    await visitor.lookOver('menu-settings')
    await page.keyboard.press('Escape')
    await visitor.look('paper')
    await page.getByRole('button', { name: 'Settings of the terminal' }).click()
    await page.getByRole('menuitemradio', { name: 'Night' }).click()
    await page.keyboard.press('Escape')
    await page.setViewportSize({ width: 390, height: 800 })
    await page.getByRole('button', { name: /^Places: Terminals/ }).click()
    await page.getByRole('menuitem', { name: 'Servers' }).waitFor()
    await visitor.lookOver('menu-places')
    await page.getByRole('menuitem', { name: 'Servers' }).click()
    await page.getByRole('heading', { name: 'Servers' }).waitFor()
    await page.getByRole('button', { name: 'Places: Servers' }).waitFor()
    await page.setViewportSize({ width: 1280, height: 800 })
  })

  test('stands beside another one, rings, and copies by permission only', async () => {
    await connect()
    await visitor.type(`PS1='> '; clear; echo first-$((5+5))`)
    await visitor.shows('first-10')
    await page.getByRole('button', { name: 'Split' }).click()
    await page.getByRole('menuitem', { name: 'Side by side' }).waitFor()
    await visitor.lookOver('menu-split')
    await page.getByRole('menuitem', { name: 'Side by side' }).click()
    await visitor.prompt()
    await visitor.type(`PS1='> '; clear; echo second-$((2+2))`)
    await visitor.shows('second-4')
    await page.evaluate(`navigator.clipboard.writeText('mine')`)
    await visitor.type(`printf '\\033]52;c;%s\\a' "$(printf theirs | base64)"`)
    await page.getByText(/wants to put text on your clipboard/).waitFor()
    await visitor.look('panes')
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe('mine')
    await page.getByRole('button', { name: 'Allow' }).click()
    await until('the copy', async () =>
      (await page.evaluate('navigator.clipboard.readText()')) === 'theirs' ? true : undefined,
    )
    await visitor.type(`sleep 1; printf '\\a'`)
    await connect()
    await page.getByRole('img', { name: 'A bell rang here' }).waitFor()
    await page.getByRole('button', { name: /A bell rang here/ }).click()
    await visitor.shows('second-4')
    await page.locator('.pane:visible').getByRole('button', { name: 'Close this terminal' }).last().click()
    await visitor.shows('first-10')
  })

  test('a lock that the server alone knows ends it with the words of the lock', async () => {
    await connect()
    const target = ['--user=alice', `--login=${login}`, '--message=laptop <b>stolen</b>']
    const made = await cluster.tctl('lock', ...target, '--format=json')
    expect(made.code, made.stderr).toBe(0)
    const why = `the user "alice" with the login "${login}" is locked: laptop <b>stolen</b>`
    await page.locator('.pane.current .ended:visible').getByText(why).waitFor()
    await page.locator('.pane.current').getByRole('button', { name: 'Open a new session' }).click()
    await page.locator('.pane.current .ended:visible').getByText(why).waitFor()
    expect((await cluster.tctl('rm', `lock/${JSON.parse(made.stdout).id}`)).code).toBe(0)
    await until('a session again', async () => {
      const again = page.locator('.pane.current').getByRole('button', { name: 'Open a new session' })
      if (await again.isVisible()) await again.click()
      return /[$#>]\s*$/.test((await visitor.screen().innerText()).trimEnd()) ? true : undefined
    })
  })

  test('nothing went wrong in the browser', () => expect(visitor.problems).toEqual([]))
})
