/**
 * The page in a real browser against a real cluster: login, servers, a shell, its recording, logout. Pictures go to a directory that is
 * named by `WEB_PICTURES`, or in `.vitest/pictures`.
 */

import { request } from 'node:https'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, login, password, startCluster } from './cluster.ts'
import { until } from './run.ts'
import { openBrowser, Visitor } from './web-page.ts'

let cluster: Cluster
let browser: Browser
let visitor: Visitor
let context: BrowserContext
let page: Page

beforeAll(async () => {
  cluster = await startCluster({
    ssh: `  labels: {env: dev, 'note': '<img src=x onerror=alert(1)>'}`,
  })
  await cluster.addUser('alice', { logins: `${login},nobody` })
  browser = await openBrowser()
  visitor = await Visitor.open(browser, cluster)
  ;({ context, page } = visitor)
})

afterAll(async () => {
  await browser?.close()
  await cluster?.remove()
})

const screen = () => visitor.screen()
const shows = (wanted: string) => visitor.shows(wanted)
const prompt = () => visitor.prompt()
const type = (command: string) => visitor.type(command)
const look = (name: string) => visitor.look(name)

describe('the page', () => {
  test('leads to the login, refuses a wrong password with the words of every login, and lets in', async () => {
    await page.goto('/')
    await page.getByRole('link', { name: 'Log in with this browser' }).click()
    await page.getByRole('heading', { name: 'Log in to feat' }).waitFor()
    await page.getByLabel('User name').fill('alice')
    await page.getByLabel('Password', { exact: true }).fill('wrong')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('access denied: wrong user name, password or code').waitFor()
    await look('login')
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('heading', { name: 'Servers' }).waitFor()
  })

  test('W2 shows servers and their labels as text, searches them, and filters by a label', async () => {
    await page.getByText('note=<img src=x onerror=alert(1)>').waitFor()
    await look('nodes')
    await page.getByRole('button', { name: 'Show only servers with env=dev' }).click()
    await page.getByRole('searchbox').fill('nothing-like-this')
    await page.getByRole('heading', { name: 'Nothing matches' }).waitFor()
    await page.getByRole('searchbox').fill('NODE-1')
    await page.getByText('node-1', { exact: true }).waitFor()
    expect(await page.getByTitle('online').count()).toBe(1)
    await page.getByRole('button', { name: 'Choose how to connect to node-1' }).click()
    await page.getByRole('menuitem', { name: 'Copy the tsh command' }).waitFor()
    await visitor.lookOver('menu-connect')
    await page.getByRole('menuitem', { name: 'Copy the tsh command' }).click()
    await page.getByText('Copied').waitFor()
    expect(await page.evaluate('navigator.clipboard.readText()')).toMatch(/^tsh ssh [\w-]+@node-1$/)
    await page.getByRole('menuitem', { name: login, exact: true }).click()
  })

  test('opens a shell with the size of its window, UTF-8, search, copy and paste', async () => {
    await prompt()
    await type(`PS1='> '; stty size; echo "é世界-$((40+2))"`)
    await shows('é世界-42')
    await type(`printf '\\033[38;2;1;200;3mgre%s\\033[0m\\n' en`)
    await shows('green')
    const colours = `[...document.querySelectorAll('.xterm-rows span')].map((span) => getComputedStyle(span).color)`
    expect(await page.evaluate(colours)).toContain('rgb(1, 200, 3)')
    await look('terminal')
    await page.evaluate(`navigator.clipboard.writeText('echo pasted-$((1+1))')`)
    await page.keyboard.press('Control+Shift+V')
    await shows('> echo pasted-')
    await page.keyboard.press('Enter')
    await shows('pasted-2')
    const before = (await screen().innerText()).match(/^(\d+) (\d+)$/m)
    await page.setViewportSize({ width: 800, height: 500 })
    await type('clear; stty size')
    await until('another size', async () => {
      const after = (await screen().innerText()).match(/^(\d+) (\d+)$/m)
      return after !== null && Number(after[2]) < Number(before?.[2]) ? true : undefined
    })
    await page.setViewportSize({ width: 1280, height: 800 })
  })

  test('a burst of output does not stop the page, which shows its end', async () => {
    await type('clear; yes 0123456789012345678901234567890123456789 | head -c 3000000; echo; echo burst-is-over')
    // The page answers while it draws.
    await page.getByRole('button', { name: 'Settings of the terminal' }).click()
    await page.getByRole('menuitem', { name: 'Larger text' }).waitFor()
    await page.keyboard.press('Escape')
    await until('the end of the burst', async () =>
      (await screen().innerText()).includes('burst-is-over') ? true : undefined,
    )
  })

  test('the session is recorded and audited like any other, from the address of the browser', async () => {
    await type('exit')
    await page.locator('.ended').getByText('the session has ended').waitFor()
    const events = await until('the end of the session in the log', async () => {
      const all = await cluster.events({ user: 'alice' })
      return all.some(({ event }) => event === 'session.end') ? all : undefined
    })
    const start = events.find(({ event }) => event === 'session.start')
    expect(start).toMatchObject({ user: 'alice', login, interactive: true })
    expect(String(start?.['addr.remote'])).toMatch(/^(127\.0\.0\.1|\[::1\]):\d+$/)
    await until('the recording', async () =>
      (await cluster.admin.recordings()).some(({ sid }) => sid === start?.sid) ? true : undefined,
    )
  })

  test('W7 a WebSocket is opened by our own page with its own token only', async () => {
    const { token, node, path, headers: right } = await pageRights()
    const rows: readonly (readonly [string, Record<string, string | undefined>, number])[] = [
      ['as the page does it', right, 101],
      ['from another origin', { ...right, origin: 'https://evil.example' }, 403],
      ['without an origin', { ...right, origin: undefined }, 403],
      ['without a token', { ...right, 'sec-websocket-protocol': 'teleport.terminal.v1' }, 403],
      ['with another token', { ...right, 'sec-websocket-protocol': protocol('A'.repeat(43)) }, 403],
      [
        'with the token of another browser',
        { ...right, 'sec-websocket-protocol': protocol(await foreignToken()) },
        403,
      ],
      ['without a cookie', { ...right, cookie: undefined }, 403],
      ['with a cookie that is nobody’s', { ...right, cookie: `__Host-teleport-session=${'0'.repeat(32)}` }, 403],
    ]
    for (const [name, headers, status] of rows) expect(await upgrade(path, headers), name).toBe(status)
    const files = { ...right, 'sec-websocket-protocol': `teleport.files.v1, csrf.${token}` }
    const sent = `/webapi/files?node=${node}&login=${login}&action=put&name=`
    expect(await upgrade(`${sent}x`, { ...files, origin: 'https://evil.example' }), 'files, from elsewhere').toBe(403)
    expect(await upgrade(`${sent}x`, { ...files, cookie: undefined }), 'files, without a cookie').toBe(403)
    expect(await upgrade(`${sent}x`, right), 'files, with a token but another protocol').toBe(403)
    expect(await upgrade(`${sent}..%2fx`, files), 'files, with a way to elsewhere').toBe(400)
    expect(await upgrade('/webapi/other', right)).toBe(404)
    expect(await upgrade('/webapi/terminal?node=../../etc&login=root', right)).toBe(400)
  })

  test('W4 a foreign page cannot show it in a frame', async () => {
    const foreign = await context.newPage()
    const [refused] = await Promise.all([
      foreign.waitForEvent('requestfailed'),
      foreign.setContent(`<iframe src="https://${cluster.proxyAddress}/web/login"></iframe>`),
    ])
    expect(refused.failure()?.errorText).toBe('net::ERR_BLOCKED_BY_RESPONSE')
    await foreign.close()
  })

  test('W7 logging out closes open terminals at once, and the cookie opens nothing any more', async () => {
    await page.getByRole('button', { name: 'Open a new session' }).click()
    await prompt()
    await type('echo still-$((3*3))')
    await shows('still-9')
    const other = await context.newPage()
    await other.goto('/web/account')
    const kept = await pageRights()
    expect(await upgrade(kept.path, kept.headers)).toBe(101)
    await other.getByRole('button', { name: 'Log out everywhere' }).click()
    await page.getByText('you have logged out').first().waitFor()
    expect(await upgrade(kept.path, kept.headers)).toBe(403)
    await other.close()
    await page.reload()
    await page.getByRole('heading', { name: 'Log in to feat' }).waitFor()
    // The heading is there before the scripts are, which know that the address is another one.
    await page.getByLabel('User name').waitFor()
    expect(new URL(page.url()).pathname).toBe('/web/login')
  })

  test('nothing went wrong in the browser, and nothing was loaded from elsewhere or against the policy', () => {
    expect(visitor.problems).toEqual([])
  })

  test('the first load is small', async () => {
    const fresh = await context.newPage()
    let bytes = 0
    const client = await context.newCDPSession(fresh)
    await client.send('Network.enable')
    client.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength
    })
    await fresh.goto('/web/login', { waitUntil: 'networkidle' })
    expect(bytes).toBeGreaterThan(10_000)
    expect(bytes).toBeLessThan(300_000)
    await fresh.close()
  })
})

const protocol = (token: string): string => `teleport.terminal.v1, csrf.${token}`

/** What the page sends with a WebSocket for a terminal. */
async function pageRights() {
  const cookies = await context.cookies()
  const state = await page.evaluate(
    async () => (await (await fetch('/webapi/session')).json()) as { csrfToken: string },
  )
  const nodes = await page.evaluate(
    async () => (await (await fetch('/webapi/nodes')).json()) as { items: { uuid: string }[] },
  )
  const node = nodes.items[0]?.uuid ?? ''
  const headers = {
    cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; '),
    origin: `https://${cluster.proxyAddress}`,
    'sec-websocket-protocol': protocol(state.csrfToken),
  }
  return { token: state.csrfToken, node, path: `/webapi/terminal?node=${node}&login=${login}`, headers }
}

/** A good one, but not of this browser. */
async function foreignToken(): Promise<string> {
  const elsewhere = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: `https://${cluster.proxyAddress}` })
  const state = (await (await elsewhere.request.get('/webapi/session')).json()) as { csrfToken: string }
  await elsewhere.close()
  expect(state.csrfToken).toMatch(/^[\w-]{43}$/)
  return state.csrfToken
}

/** The status with which a request for a WebSocket is answered. */
function upgrade(path: string, headers: Record<string, string | undefined>): Promise<number> {
  const given = Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: '127.0.0.1',
      port: cluster.ports.web,
      path,
      agent: false,
      rejectUnauthorized: false,
      headers: {
        host: cluster.proxyAddress,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...Object.fromEntries(given),
      },
    })
    outgoing.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve(response.statusCode ?? 0)
    })
    outgoing.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}
