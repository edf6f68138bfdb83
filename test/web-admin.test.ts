/**
 * Audit and administration in a real browser against a real cluster, as an administrator and as a user without any rule: what each
 * sees and may do, two editors of one role, a lock during an open session, and a server that is added with the command of the page.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Locator } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, freePorts, login, password, startCluster } from './cluster.ts'
import { bin, Dialog, until } from './run.ts'
import { openBrowser, Visitor } from './web-page.ts'

const hostile = '<img src=x onerror=alert(1)>'

let cluster: Cluster
let browser: Browser
let ada: Visitor
let bob: Visitor
let second: Dialog | undefined

const admin = {
  kind: 'role',
  version: 'v4',
  metadata: { name: 'admin' },
  spec: {
    allow: {
      logins: ['{{internal.logins}}'],
      node_labels: { '*': '*' },
      rules: [{ resources: ['*'], verbs: ['*'] }],
      review_requests: { roles: ['*'] },
    },
  },
}
const plain = {
  kind: 'role',
  version: 'v4',
  metadata: { name: 'plain' },
  spec: { allow: { logins: ['{{internal.logins}}'], node_labels: { env: 'dev' }, request: { roles: ['dba'] } } },
}
const dba = `kind: role
version: v4
metadata: {name: dba}
spec:
  allow:
    logins: [postgres] # the database's own
    node_labels: {tier: db}
`

async function ok(...args: readonly string[]): Promise<string> {
  const result = await cluster.tctl(...args)
  expect(result.code, `${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}

beforeAll(async () => {
  cluster = await startCluster({ ssh: `  labels: {env: dev, note: '${hostile}'}` })
  for (const role of [admin, plain]) await cluster.admin.create(JSON.stringify(role))
  writeFileSync(join(cluster.dir, 'dba.yaml'), dba)
  await ok('create', join(cluster.dir, 'dba.yaml'))
  await cluster.addUser('ada', { roles: 'admin' })
  await cluster.addUser('bob', { roles: 'plain' })
  browser = await openBrowser()
  // A conflict is an answer too.
  const expected = /status of 4(?:0[1349]|29)/
  ada = await Visitor.open(browser, cluster, expected)
  bob = await Visitor.open(browser, cluster, expected)
  await bob.page.goto('/web/login')
  await bob.page.getByLabel('User name').fill(hostile)
  await bob.page.getByLabel('Password', { exact: true }).fill('wrong')
  await bob.page.getByRole('button', { name: 'Log in', exact: true }).click()
  await bob.page.getByText('wrong user name, password or code').waitFor()
  await ada.login('ada', '/web/audit?range=7d')
})

afterAll(async () => {
  await browser?.close()
  await second?.stop()
  await cluster?.remove()
})

const dialog = (visitor: Visitor) => visitor.page.getByRole('dialog')
const section = async (visitor: Visitor, name: string) => {
  await visitor.page.getByRole('navigation', { name: 'Parts of the administration' }).getByText(name).click()
  await visitor.page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
}

describe('the audit log', () => {
  test('W2 tells in sentences what happened, with hostile names as text and the whole event a click away', async () => {
    const { page } = ada
    // After the login one is where one was going.
    expect(new URL(page.url()).search).toBe('?range=7d')
    await page.getByText('created user bob with plain').waitFor()
    await page.getByText(hostile).first().waitFor()
    await page.getByRole('button', { name: 'The whole event: created user bob with plain' }).click()
    await page.locator('.event-raw pre').getByText('"event": "user.create"').waitFor()
    await ada.look('audit')
  })

  test('keeps its filters in the address, and finds by words', async () => {
    const { page } = ada
    await page.getByLabel('Search in events').fill('bob')
    await until('the words in the address', () => (page.url().includes('text=bob') ? true : undefined))
    await page.getByLabel('Events', { exact: true }).selectOption({ label: 'Roles' })
    await page.getByText('Nothing in the log matches these filters.').waitFor()
    await page.getByRole('button', { name: 'Clear the filters' }).click()
    await page.goto('/web/audit?range=all&type=role.created&user=admin')
    await page.reload()
    const sentences = page.locator('.event-sentence')
    await page.getByText('wrote role dba').waitFor()
    expect(await sentences.allInnerTexts()).not.toContain('created user bob with plain')
  })

  test('of many events only those near the window are drawn, older ones come as one scrolls, and what was opened stays so', async () => {
    const { page } = ada
    await page.evaluate(`(async () => {
      const { csrfToken } = await (await fetch('/webapi/session')).json()
      const headers = { 'content-type': 'application/json', 'x-csrf-token': csrfToken }
      const body = JSON.stringify({ roles: ['node'], labels: {}, ttlSeconds: 60 })
      for (let count = 0; count < 220; count++) await fetch('/webapi/v1/tokens', { method: 'POST', headers, body })
    })()`)
    await page.goto('/web/audit?range=all')
    const first = page.locator('.events > li').first()
    await first.getByRole('button', { name: /^The whole event/ }).click()
    await first.locator('pre').waitFor()
    const number = async (name: string) =>
      Number(await page.locator('.events > li').last().getAttribute(`aria-${name}`))
    // How many there are is known once the oldest ones have come, which is before one has scrolled to them.
    const total = await until('the first of all events', async () => {
      await page.mouse.move(640, 600)
      await page.mouse.wheel(0, 4_000)
      const found = await number('posinset')
      return found === (await number('setsize')) ? found : undefined
    })
    expect(total).toBeGreaterThan(220)
    await page.getByText('These are all events that match.').waitFor()
    expect(await page.locator('.events > li').count()).toBeLessThan(60)
    await page.evaluate('window.scrollTo(0, 0)')
    await first.locator('pre').waitFor()
  })

  test('is proven in the page, and its export by tctl', async () => {
    const { page } = ada
    await page.getByRole('button', { name: 'Verify now' }).click()
    await page.getByText(/Verified up to event \d+: whole and unchanged/).waitFor()
    await page.goto('/web/audit?range=all')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export' }).click(),
    ])
    const file = join(cluster.dir, 'audit.jsonl')
    await download.saveAs(file)
    expect(await ok('audit', 'verify', `--file=${file}`)).toContain('The audit log is whole and unchanged.')
  })
})

describe('the administration', () => {
  test('shows the parts of the cluster and their state', async () => {
    const { page } = ada
    await page.getByRole('navigation', { name: 'Main' }).getByText('Admin').click()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await until('all three parts', async () =>
      (await page.locator('.tile strong').allInnerTexts()).join() === '1,1,1' ? true : undefined,
    )
    await ada.look('overview')
  })

  test('invites a user with a link, changes roles, and finds users by words', async () => {
    const { page } = ada
    await section(ada, 'Users')
    await page.getByRole('button', { name: 'Invite a user' }).click()
    await dialog(ada).getByLabel('User name').fill('carol')
    await dialog(ada).getByLabel('Logins').fill('carol')
    await ada.look('user-invite')
    await dialog(ada).getByRole('button', { name: 'Make the link' }).click()
    await page.getByText(new RegExp(`^https://${cluster.proxyAddress}/web/invite/[0-9a-f]+$`)).waitFor()
    await dialog(ada).getByRole('button', { name: 'Copy' }).click()
    expect(await page.evaluate('navigator.clipboard.readText()')).toContain('/web/invite/')
    await dialog(ada).getByRole('button', { name: 'Close' }).last().click()
    await page.getByRole('rowheader', { name: 'carol' }).waitFor()
    await page.getByLabel('Actions for carol').click()
    await page.getByRole('menuitem', { name: 'Change roles and logins' }).waitFor()
    await ada.lookOver('menu-user')
    await page.getByRole('menuitem', { name: 'Change roles and logins' }).click()
    await dialog(ada).getByRole('combobox', { name: 'Roles' }).fill('dba')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    await dialog(ada).getByRole('button', { name: 'Save' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(JSON.parse(await ok('get', 'user/carol', '--format=json'))).toMatchObject([
      { spec: { roles: expect.arrayContaining(['dba']), traits: { logins: ['carol'] } } },
    ])
    await ada.look('users')
    await page.getByLabel('Search').fill('dba')
    await until('one user', async () => ((await page.locator('tbody tr').count()) === 1 ? true : undefined))
    expect(page.url()).toContain('search=dba')
  })

  test('a session that is over in the middle of a form is renewed in place, and the form is still there', async () => {
    const { page } = ada
    await page.goto('/web/admin/users')
    await page.getByRole('button', { name: 'Invite a user' }).click()
    await dialog(ada).getByLabel('User name').fill('dave')
    await page.getByText('access', { exact: true }).first().waitFor()
    await ada.context.clearCookies()
    await dialog(ada).getByRole('button', { name: 'Make the link' }).click()
    const again = page.getByRole('dialog', { name: 'Your session is over' })
    await again.getByLabel('Password', { exact: true }).fill(password)
    await again.getByRole('button', { name: 'Log in', exact: true }).click()
    await again.waitFor({ state: 'detached' })
    expect(await dialog(ada).getByLabel('User name').inputValue()).toBe('dave')
    await dialog(ada).getByRole('button', { name: 'Make the link' }).click()
    await page.getByText(/\/web\/invite\/[0-9a-f]+$/).waitFor()
  })

  test('A10 the second of two editors of a role keeps the text, sees what is there now, and saves over that', async () => {
    const { page } = ada
    await page.goto('/web/admin/resources?kind=role&name=dba')
    await page.getByRole('tab', { name: 'YAML' }).click()
    const editor = page.getByLabel('YAML of dba')
    const text = await editor.inputValue()
    await editor.fill(text.replace('postgres', 'postgres\n      - mysql').replace('logins', 'login'))
    await page.getByText("unknown key (did you mean 'logins'?)").waitFor()
    await editor.fill(text.replace('postgres', 'postgres\n      - mysql'))
    await page.getByText('No problems').waitFor()
    writeFileSync(join(cluster.dir, 'dba.yaml'), dba.replace('tier: db', 'tier: database'))
    await ok('create', '-f', join(cluster.dir, 'dba.yaml'))
    await page.getByRole('button', { name: 'Review and save' }).click()
    await dialog(ada).getByRole('button', { name: 'Save' }).click()
    await page.getByText('Somebody changed it meanwhile').waitFor()
    await dialog(ada).locator('.removed').getByText('- database').waitFor()
    await ada.look('role-conflict')
    // Nothing is lost, and nothing was overwritten.
    await dialog(ada).getByRole('button', { name: 'Cancel' }).click()
    expect(await editor.inputValue()).toContain('mysql')
    expect(await ok('get', 'role/dba')).toContain('database')
    await page.getByRole('button', { name: 'Review and save' }).click()
    await dialog(ada).getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved.').waitFor()
    expect(await ok('get', 'role/dba')).toContain('mysql')
    // The form changes the same text.
    await page.getByRole('tab', { name: 'Form' }).click()
    await page.getByRole('combobox', { name: 'Logins' }).fill('root')
    await page.keyboard.press('Enter')
    await ada.look('role-form')
    await page.getByRole('tab', { name: 'YAML' }).click()
    expect(await editor.inputValue()).toContain('- root')
  })

  test('traits of a user are changed in a form, compared, and saved; the YAML says the same', async () => {
    const { page } = ada
    await page.goto('/web/admin/users?search=carol')
    await page.getByLabel('Actions for carol').click()
    await page.getByRole('menuitem', { name: 'Traits, or the YAML' }).click()
    const another = page.getByLabel('Name of another trait')
    await another.fill('logins')
    await page.getByRole('button', { name: 'Add the trait' }).click()
    await page.getByText('There is a trait of this name.').waitFor()
    await another.fill('team')
    await page.getByRole('button', { name: 'Add the trait' }).click()
    await page.getByRole('combobox', { name: 'team' }).fill(hostile)
    await page.keyboard.press('Enter')
    await page.getByRole('combobox', { name: 'team' }).fill('db')
    await page.keyboard.press('Enter')
    // What the cluster would refuse is said before it is asked.
    await page.getByRole('combobox', { name: 'Logins' }).fill('a b')
    await page.keyboard.press('Enter')
    await page.getByRole('list', { name: 'Problems' }).getByText('spec.traits.logins').waitFor()
    await page.keyboard.press('Backspace')
    await page.getByText('No problems').waitFor()
    await page.keyboard.press('Escape')
    await ada.look('user-form')
    await page.getByRole('button', { name: 'Review and save' }).click()
    await dialog(ada).locator('.added').getByText('- db').waitFor()
    await ada.look('user-diff')
    await dialog(ada).getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved.').waitFor()
    expect(JSON.parse(await ok('get', 'user/carol', '--format=json'))).toMatchObject([
      { spec: { traits: { logins: ['carol'], team: [hostile, 'db'] } } },
    ])
    await page.getByRole('tab', { name: 'YAML' }).click()
    expect(await page.getByLabel('YAML of carol').inputValue()).toContain('- db')
    await page.getByRole('tab', { name: 'Form' }).click()
    await page.getByRole('button', { name: 'Remove the trait team' }).click()
    await page.getByRole('combobox', { name: 'team' }).waitFor({ state: 'detached' })
  })

  test('explains who may log in where', async () => {
    const { page } = ada
    await section(ada, 'Explain access')
    await page.getByRole('combobox', { name: 'User', exact: true }).fill('bob')
    await page.getByRole('combobox', { name: 'Login', exact: true }).fill('daemon')
    await page.getByRole('combobox', { name: 'Server (name or uuid)', exact: true }).fill('node-1')
    await page.getByRole('button', { name: 'Explain' }).click()
    await page.getByText('bob may not log in as daemon on node-1').waitFor()
    await page.getByText('allow.node_labels env=dev matches').waitFor()
    await page.goto(`/web/admin/explain?user=bob&login=${login}&node=node-1`)
    await page.getByText(`bob may log in as ${login} on node-1`).waitFor()
    await ada.look('explain')
  })

  test('W2 a request is asked for by one and approved by the other, with its words as text', async () => {
    await bob.login('bob')
    await bob.page.getByRole('navigation', { name: 'Main' }).getByText('Requests').click()
    await bob.page.getByRole('button', { name: 'Ask for roles' }).click()
    await dialog(bob).getByLabel('Roles').fill('dba')
    await bob.page.keyboard.press('Enter')
    await dialog(bob).getByLabel('Reason').fill(`backup ${hostile}`)
    await dialog(bob).getByRole('button', { name: 'Send the request' }).click()
    await bob.page.getByText(`backup ${hostile}`).waitFor()
    expect(await bob.page.getByRole('button', { name: 'Approve' }).count()).toBe(0)
    await ada.page.goto('/web/requests?state=pending')
    await ada.page.getByText(`backup ${hostile}`).waitFor()
    await ada.look('requests')
    await ada.page.getByRole('button', { name: 'Approve' }).click()
    await dialog(ada).getByLabel('Your reason').fill('for today')
    await dialog(ada).getByRole('button', { name: 'Approve' }).click()
    await ada.page.getByText('No requests').waitFor()
    await bob.page.locator('.request-state').getByText('approved').waitFor()
    await bob.page.getByText(/tsh login --request-id=[0-9a-f-]{36}/).waitFor()
  })

  test('what was approved is used in the browser, and given back', async () => {
    const { page } = bob
    writeFileSync(join(cluster.dir, 'dba.yaml'), dba.replace('tier: db', 'env: dev'))
    await ok('create', '-f', join(cluster.dir, 'dba.yaml'))
    const logins = async () => {
      await page.getByRole('navigation', { name: 'Main' }).getByText('Servers').click()
      await page
        .getByRole('button', { name: /node-1/ })
        .first()
        .waitFor()
      const answer = (await page.evaluate("fetch('/webapi/nodes').then((answer) => answer.json())")) as {
        items: readonly { logins: readonly string[] }[]
      }
      await page.goBack()
      return answer.items.flatMap((each) => each.logins)
    }
    expect(await logins()).toEqual([login])
    await page.getByRole('button', { name: 'Use the roles here' }).click()
    await page.getByRole('link', { name: 'Extra roles' }).waitFor()
    await bob.look('request-used')
    expect((await logins()).sort()).toEqual([login, 'postgres'].sort())
    const events = JSON.parse(await ok('audit', 'ls', '--format=json', '--type=cert.create', '--user=bob')) as {
      identity: { access_requests?: readonly string[] }
    }[]
    expect(events.filter(({ identity }) => identity.access_requests?.length === 1)).toHaveLength(1)
    await page.getByRole('button', { name: 'Back to your own roles' }).click()
    await page.getByRole('link', { name: 'Extra roles' }).waitFor({ state: 'detached' })
    expect(await logins()).toEqual([login])
  })

  test('a lock during an open session ends it, and keeps its user out until it is lifted', async () => {
    const { page } = ada
    await bob.page.goto('/web/nodes')
    await bob.page.getByRole('button', { name: `Connect to node-1 as ${login}` }).click()
    const screen = bob.page.locator('.terminal:visible .xterm-rows')
    await until('a prompt', async () => (/[$#>]\s*$/.test((await screen.innerText()).trimEnd()) ? true : undefined))
    await page.goto('/web/admin/users?search=bob')
    await page.getByLabel('Actions for bob').click()
    await page.getByRole('menuitem', { name: 'Lock' }).click()
    await dialog(ada).getByLabel('Message').fill(`away ${hostile}`)
    await dialog(ada).getByRole('button', { name: 'Lock' }).click()
    // Auth, the node and the proxy each end it; whoever is first, the words are those of the lock.
    await bob.page.locator('.ended').getByText(`the user "bob" is locked: away ${hostile}`).waitFor()
    await page.getByRole('cell', { name: 'locked' }).waitFor()
    await section(ada, 'Locks')
    await page.getByText(`away ${hostile}`).waitFor()
    await ada.look('locks')
    await bob.page.reload()
    await bob.page.getByLabel('User name').fill('bob')
    await bob.page.getByLabel('Password', { exact: true }).fill(password)
    await bob.page.getByRole('button', { name: 'Log in', exact: true }).click()
    await bob.page.getByRole('alert').getByText('locked').waitFor()
    await page.getByRole('button', { name: 'Lift the lock of user bob' }).click()
    await dialog(ada).getByRole('button', { name: 'Lift' }).click()
    await page.getByText('Nothing is locked').waitFor()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await bob.login('bob')
  })

  describe('an expired cookie leads to the login in place and back, and what was begun is still there', () => {
    let sid = ''
    const half = 'half a wo'
    const field = (label: string) => ada.page.getByLabel(label, { exact: true })
    const open = (name: string) => ada.page.getByRole('button', { name, exact: true }).click()
    interface View {
      readonly view: string
      readonly path: string | (() => string)
      /** Opens the form and gives the field that is filled; without one, what must be seen again. */
      begin?(): Promise<Locator>
      readonly sees?: string
      readonly typed?: string
      /** Nothing is typed, the second choice is taken. */
      readonly chooses?: boolean
    }
    const views: readonly View[] = [
      { view: 'servers', path: '/web/nodes', begin: async () => ada.page.getByRole('searchbox'), typed: 'node-1' },
      { view: 'sessions', path: '/web/sessions', sees: 'Sessions' },
      { view: 'recordings', path: '/web/recordings', begin: async () => field('Search in what was on the screens') },
      { view: 'player', path: () => `/web/recordings/${sid}?at=0`, sees: `ada as ${login} on node-1` },
      { view: 'audit', path: '/web/audit?range=all', begin: async () => field('Search in events') },
      {
        view: 'requests',
        path: '/web/requests',
        async begin() {
          await open('Ask for roles')
          return field('Reason')
        },
      },
      { view: 'overview', path: '/web/admin/overview', sees: 'Overview' },
      {
        view: 'form of a user',
        path: '/web/admin/resources?kind=user&name=bob',
        begin: async () => field('Name of another trait'),
      },
      {
        view: 'YAML of a role',
        path: '/web/admin/resources?kind=role&name=dba',
        async begin() {
          await ada.page.getByRole('tab', { name: 'YAML' }).click()
          return field('YAML of dba')
        },
      },
      {
        view: 'explain',
        path: '/web/admin/explain',
        begin: async () => ada.page.getByRole('combobox', { name: 'User', exact: true }),
      },
      {
        view: 'locks',
        path: '/web/admin/locks',
        async begin() {
          await open('New lock')
          return field('Message')
        },
      },
      {
        view: 'add a server',
        path: '/web/admin/tokens',
        async begin() {
          await open('Add a server')
          return dialog(ada).getByLabel('Valid for')
        },
        chooses: true,
      },
      {
        view: 'rotation',
        path: '/web/admin/authorities',
        async begin() {
          await open('Start a rotation')
          return dialog(ada).getByLabel('Which')
        },
        chooses: true,
      },
      { view: 'account', path: '/web/account', begin: async () => field('New password') },
      { view: 'documents of the API', path: '/docs/api', begin: async () => field('Search by path or words') },
    ]

    async function again(): Promise<void> {
      const login = ada.page.getByRole('dialog', { name: 'Your session is over' })
      await login.getByLabel('Password', { exact: true }).fill(password)
      await login.getByRole('button', { name: 'Log in', exact: true }).click()
      await login.waitFor({ state: 'detached' })
    }

    test('terminal', async () => {
      const { page } = ada
      await page.goto('/web/nodes')
      await page.getByRole('button', { name: `Connect to node-1 as ${login}` }).click()
      await ada.prompt()
      await ada.context.clearCookies()
      await ada.type('exit')
      await again()
      // The tab is still there, and good for another session.
      await page.getByRole('button', { name: 'Open a new session' }).click()
      await ada.prompt()
      await ada.type('exit')
      await page.locator('.ended').getByText('the session has ended').waitFor()
      sid = await until('a recording of it', async () => {
        const all = JSON.parse(await ok('audit', 'ls', '--format=json', '--type=session.upload')) as {
          sid: string
          user: string
        }[]
        return all.find(({ user }) => user === 'ada')?.sid
      })
    })

    test.each(views)('$view', async ({ path, begin, sees, typed = half, chooses = false }) => {
      const { page } = ada
      await page.goto(typeof path === 'string' ? path : path())
      const heading = sees === undefined ? undefined : page.getByRole('heading', { level: 1, name: sees, exact: true })
      await heading?.waitFor()
      const place = await begin?.()
      if (chooses) await place?.selectOption({ index: 1 })
      else await place?.fill(typed)
      const value = await place?.inputValue()
      await ada.context.clearCookies()
      // As when one comes back to the window: what is shown is asked for again.
      await page.evaluate(`window.dispatchEvent(new Event('visibilitychange'))`)
      await again()
      await heading?.waitFor()
      expect(await place?.inputValue()).toBe(value)
      await page.keyboard.press('Escape')
    })

    test('list of places and servers', async () => {
      const { page } = ada
      await page.goto('/web/terminal')
      await page.getByRole('heading', { name: 'No terminal is open' }).waitFor()
      await page.keyboard.press('Control+k')
      const search = page.getByRole('combobox', { name: 'Go to or do' })
      const server = page.getByRole('option', { name: `${login}@node-1` })
      await server.waitFor()
      await ada.context.clearCookies()
      await search.fill('node')
      await again()
      await server.waitFor()
      expect(await search.inputValue()).toBe('node')
    })

    test('pictures of recordings', async () => {
      const { page } = ada
      const size = page.viewportSize() ?? { width: 1280, height: 800 }
      await page.setViewportSize({ width: size.width, height: 240 })
      await page.goto('/web/recordings')
      const picture = page.locator('.thumbnail').first()
      await picture.waitFor()
      expect(await page.locator('.thumbnail[data-state=there]').count(), 'none is in sight').toBe(0)
      await ada.context.clearCookies()
      await page.setViewportSize(size)
      await again()
      await page.locator('.thumbnail[data-state=there]').first().waitFor()
    })
  })

  test('a server is added with the command of the page, which turns green when it is there', async () => {
    const { page } = ada
    await page.goto('/web/admin/tokens')
    await page.getByRole('heading', { name: 'Join servers' }).waitFor()
    await page.getByRole('button', { name: 'Add a server' }).click()
    await dialog(ada).getByLabel('Labels').fill('tier=db')
    await page.keyboard.press('Enter')
    await dialog(ada).getByRole('button', { name: 'Make the command' }).click()
    const shown = dialog(ada).locator('.command')
    const command = await shown.innerText()
    expect(command).toMatch(
      /^teleport start \\\n {3}--roles=node \\\n {3}--token=\S+ \\\n {3}--ca-pin=sha256:[0-9a-f]{64} \\\n {3}--auth-server=\S+ \\\n {3}--labels=tier=db$/,
    )
    await ada.look('add-server')
    const ports = await freePorts()
    const file = join(cluster.dir, 'second.yaml')
    // Only where it keeps its things and listens, since this machine has a server already.
    writeFileSync(
      file,
      `teleport: {nodename: node-2, data_dir: ${cluster.dir}/second}\nssh_service: {enabled: yes, listen_addr: '127.0.0.1:${ports.node}'}\n`,
    )
    const [, start = '', ...flags] = command.replaceAll(/\\\n/g, ' ').split(/\s+/)
    second = new Dialog(bin('teleport'), [start, '-c', file, ...flags], { env: cluster.env() })
    await dialog(ada).getByText('node-2 is there').waitFor({ timeout: 120_000 })
    await dialog(ada).getByRole('link', { name: 'To the servers' }).click()
    await page.getByText('tier=db').waitFor()
    expect(await ok('tokens', 'ls')).not.toContain('tier=db')
  })

  test('a rotation is started, rolled back and ended', async () => {
    const { page } = ada
    await page.goto('/web/admin/tokens')
    await page.getByRole('heading', { name: 'Join servers' }).waitFor()
    await ada.look('tokens')
    await section(ada, 'Authorities')
    await page.getByRole('button', { name: 'Start a rotation' }).click()
    await dialog(ada).getByLabel('Which').selectOption({ label: 'User authority' })
    await dialog(ada).getByRole('button', { name: 'Start a rotation' }).click()
    await page.getByText('New keys are known, by hand').waitFor()
    await ada.look('authorities')
    await page.getByRole('button', { name: 'Roll back' }).click()
    await dialog(ada).getByRole('button', { name: 'Roll back' }).click()
    await page.getByText('Going back to the old keys').waitFor()
    await page.getByRole('button', { name: 'End the rotation' }).click()
    await dialog(ada).getByRole('button', { name: 'End the rotation' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await ok('status')).toMatch(/User CA +(?:never updated|rotated)/)
  })

  test('the documents of the API are served to administrators', async () => {
    const { page } = ada
    await page.goto('/docs/api')
    await page.getByText('/webapi/v1/users/{name}', { exact: true }).first().waitFor()
    await page.getByLabel('Search by path or words').fill('post locks')
    await page.locator('summary').first().click()
    await page.getByText('Needs the rule lock: create').waitFor()
    await ada.look('api-docs')
  })
})

test('A3 a user without rules sees none of it, and is refused all of it', async () => {
  const { page } = bob
  await page.goto('/web/nodes')
  const nav = page.getByRole('navigation', { name: 'Main' })
  await nav.getByText('Servers').waitFor()
  expect(await nav.getByText(/Audit|Admin/).count()).toBe(0)
  await page.goto('/web/admin/users')
  await page.getByText('There is nothing here for you').waitFor()
  await page.goto('/docs/api')
  await page.getByText('the documents of the API are for those who administer something').waitFor()
  await bob.look('refused')
  const statuses = await page.evaluate(async () => {
    const state = (await (await fetch('/webapi/session')).json()) as { csrfToken: string }
    const calls = [
      ['GET', 'users'],
      ['GET', 'roles'],
      ['GET', 'locks'],
      ['GET', 'tokens'],
      ['GET', 'audit/events'],
      ['GET', 'audit/export'],
      ['GET', 'audit/verify'],
      ['GET', 'authorities/rotation'],
      ['GET', 'access/explain?user=ada&login=root&node=node-1'],
      ['POST', 'tokens', { roles: ['node'] }],
      ['POST', 'locks', { target: { user: 'ada' } }],
      ['POST', 'users', { name: 'eve', roles: ['admin'], traits: {} }],
      ['POST', 'authorities/rotate', { mode: 'manual' }],
    ] as const
    const answers = calls.map(async ([method, path, body]) => {
      const headers = { 'x-csrf-token': state.csrfToken, 'content-type': 'application/json' }
      const init = method === 'GET' ? {} : { method, headers, body: JSON.stringify(body) }
      return `${method} ${path}: ${(await fetch(`/webapi/v1/${path}`, init)).status}`
    })
    return Promise.all(answers)
  })
  expect(statuses.filter((line) => !line.endsWith(': 403'))).toEqual([])
})

test('nothing went wrong in the browsers, and nothing was loaded from elsewhere or against the policy', () => {
  expect([...ada.problems, ...bob.problems]).toEqual([])
})
