/** Getting in and the account, in a browser with a security key in software: sign-up, each second factor, devices, the password. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addKey } from './chromium.ts'
import { type Cluster, login, oneTimeCode, password, startCluster } from './cluster.ts'
import { pidOf } from './processes.ts'
import { until } from './run.ts'
import { openBrowser, Visitor } from './web-page.ts'

let cluster: Cluster
let browser: Browser
let visitor: Visitor
let bob: Visitor
let page: Page
let secret: string
let recoveryCodes: readonly string[]

beforeAll(async () => {
  cluster = await startCluster({
    auth: `  authentication: {type: local, second_factor: on}\n  message_of_the_day: "Be kind."`,
  })
  browser = await openBrowser()
  // The services are reloaded, which on a busy machine takes longer than the proxy waits; the page asks again.
  visitor = await Visitor.open(browser, cluster, /status of (4(0[1349]|29)|503)/)
  page = visitor.page
  await addKey(page)
})

afterAll(async () => {
  await browser?.close()
  await cluster?.remove()
})

/** By a new proxy, which has seen none: all of this file's are more than one address may make in a minute. */
async function forgetAttempts(): Promise<void> {
  const before = pidOf(cluster, 'proxy')
  cluster.process?.child.kill('SIGHUP')
  await cluster.process?.expect(/INFO {2}reloaded/)
  await until('a new proxy', async () => ([0, before].includes(pidOf(cluster, 'proxy')) ? undefined : true))
}

const logIn = () => page.getByRole('button', { name: 'Log in', exact: true })
const codesShown = () => page.getByRole('dialog').locator('code').allTextContents()

async function logOut(): Promise<void> {
  await page.getByRole('button', { name: 'Menu of alice' }).click()
  await page.getByRole('menuitem', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Log in to feat' }).waitFor()
}

describe('getting in', () => {
  test('an invite link sets a password, tells how strong it is, and enrols a security key', async () => {
    const made = await cluster.tctl('users', 'add', 'alice', `--logins=${login}`, '--roles=access,editor')
    const link = /https:\/\/\S+\/web\/invite\/[0-9a-f]+/.exec(made.stdout)?.[0] ?? ''
    await page.goto(link)
    await page.getByLabel('New password', { exact: true }).fill('aaaaaaaaaaaa')
    await page.getByText('weak').waitFor()
    await page.getByLabel('New password', { exact: true }).fill(password)
    await page.getByText('strong').waitFor()
    await page.getByLabel('The same password again').fill(password)
    await page.getByLabel('A security key, or this device').check()
    await page.getByLabel('A name for the key').fill('yubi')
    expect(await visitor.violations()).toEqual([])
    await page.getByRole('button', { name: 'Finish' }).click()
    await page.getByRole('heading', { name: 'Done' }).waitFor()
    recoveryCodes = await page.locator('#codes code').allTextContents()
    expect(recoveryCodes.length).toBeGreaterThan(4)
    await page.getByRole('link', { name: 'Log in with this browser' }).click()
  })

  test('the message of the day is read first; then the key lets in, back to where one was going', async () => {
    await page.goto('/web/account')
    await page.getByText('Be kind.').waitFor()
    expect(await page.getByLabel('User name').count()).toBe(0)
    await page.getByRole('button', { name: 'I have read this' }).click()
    await page.getByLabel('User name').fill('alice')
    await page.getByLabel('Password', { exact: true }).fill(password)
    await visitor.look('login-factors')
    await logIn().click()
    await page.getByRole('heading', { name: 'Account' }).waitFor()
    expect(new URL(page.url()).pathname).toBe('/web/account')
  })

  test('an app is added with the key, and logs in; a recovery code too, once', async () => {
    await page.getByText('yubi').waitFor()
    await visitor.look('account')
    await page.getByRole('button', { name: 'Add an app' }).click()
    await page.getByLabel('A name for it').fill('<b>phone</b>')
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByRole('button', { name: 'Use a security key' }).click()
    await page.getByRole('img', { name: 'QR code of the secret below' }).waitFor()
    await visitor.look('account-app')
    secret = await page.getByRole('dialog').locator('code').innerText()
    await page.getByLabel('Code that the app shows').fill(oneTimeCode(secret))
    await page.getByRole('button', { name: 'Finish' }).click()
    await page.getByText('<b>phone</b>').waitFor()
    await logOut()

    await page.getByLabel('User name').fill('alice')
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByLabel('One-time code').fill(oneTimeCode(secret, 30))
    await logIn().click()
    await page.getByRole('heading', { name: 'Servers' }).waitFor()
    await logOut()

    await page.getByRole('button', { name: 'Use a recovery code' }).click()
    await page.getByLabel('User name').fill('alice')
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByLabel('Recovery code').fill(recoveryCodes[0] ?? '')
    await logIn().click()
    await page.getByRole('heading', { name: 'Servers' }).waitFor()
  })

  test('a device is removed and codes are made anew with a proof only', async () => {
    await page.goto('/web/account')
    await page.getByRole('button', { name: 'Remove <b>phone</b>' }).click()
    await page.getByLabel('One-time code, or a recovery code').fill('000000')
    await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click()
    await page.getByRole('dialog').getByRole('alert').waitFor()
    await page.getByLabel('One-time code, or a recovery code').fill(recoveryCodes[1] ?? '')
    await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click()
    await page.getByText('<b>phone</b>', { exact: true }).waitFor({ state: 'detached' })
    await page.getByText('yubi').waitFor()
    await page.getByRole('button', { name: 'New recovery codes' }).click()
    await page.getByRole('button', { name: 'Use a security key' }).click()
    await page.getByText('Keep these recovery codes').waitFor()
    const anew = await codesShown()
    expect(anew.length).toBeGreaterThan(4)
    expect(anew).not.toContain(recoveryCodes[2])
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click()
    await page.getByRole('button', { name: 'Add a security key' }).click()
    await page.getByLabel('A name for it').fill('yubi')
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Use a security key' }).click()
    // The name is taken.
    await page.getByRole('dialog').getByRole('alert').waitFor()
    await page.keyboard.press('Escape')
    recoveryCodes = anew
  })

  test('a login in another browser is in the list, with what it said of itself as text, and is ended from here', async () => {
    const other = await Visitor.open(browser, cluster, /status of 40[13]/, '<b>Firefox/1</b>')
    await other.page.goto('/web/account')
    await other.page.getByRole('button', { name: 'I have read this' }).click()
    await other.page.getByRole('button', { name: 'Use a recovery code' }).click()
    await other.page.getByLabel('User name').fill('alice')
    await other.page.getByLabel('Password', { exact: true }).fill(password)
    await other.page.getByLabel('Recovery code').fill(recoveryCodes[0] ?? '')
    await other.page.getByRole('button', { name: 'Log in', exact: true }).click()
    await other.page.getByText('This one', { exact: true }).waitFor()
    await page.reload()
    await page.getByText('This one', { exact: true }).waitFor()
    await page.getByTitle('<b>Firefox/1</b>').waitFor()
    await visitor.look('account-browsers')
    await page.getByRole('button', { name: 'End Firefox, 127.0.0.1' }).click()
    await page.getByRole('button', { name: 'End Firefox, 127.0.0.1' }).waitFor({ state: 'detached' })
    await other.page.reload()
    await other.page.getByLabel('User name').waitFor()
    expect(other.problems).toEqual([])
    await other.context.close()
    await page.getByText('This one', { exact: true }).waitFor()
  })

  test("an administrator takes a user's key, and resets the user: the link gives a new password and factor, what was before is out", async () => {
    bob = await Visitor.open(browser, cluster, /status of 40[134]/)
    await addKey(bob.page)
    const linkOf = (text: string) => /https:\/\/\S+\/web\/(invite|reset)\/[0-9a-f]+/.exec(text)?.[0] ?? ''
    const signUp = async (link: string, secret: string, key: string) => {
      await bob.page.goto(link)
      await bob.page.getByLabel('New password', { exact: true }).fill(secret)
      await bob.page.getByLabel('The same password again').fill(secret)
      await bob.page.getByLabel('A security key, or this device').check()
      await bob.page.getByLabel('A name for the key').fill(key)
      await bob.page.getByRole('button', { name: 'Finish' }).click()
      await bob.page.getByRole('heading', { name: 'Done' }).waitFor()
    }
    const enter = async (secret: string) => {
      await bob.page.getByLabel('User name').fill('bob')
      await bob.page.getByLabel('Password', { exact: true }).fill(secret)
      await bob.page.getByRole('button', { name: 'Log in', exact: true }).click()
    }
    const added = await cluster.tctl('users', 'add', 'bob', `--logins=${login}`, '--roles=access')
    await signUp(linkOf(added.stdout), password, '<i>old</i> key')
    await bob.page.goto('/web/account')
    await bob.page.getByRole('button', { name: 'I have read this' }).click()
    await enter(password)
    await bob.page.getByText('<i>old</i> key').waitFor()

    await page.goto('/web/admin/users')
    await page.getByRole('button', { name: 'Actions for bob' }).click()
    await page.getByRole('menuitem', { name: 'Second factors' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('<i>old</i> key').waitFor()
    await visitor.look('admin-devices')
    await dialog.getByRole('button', { name: 'Remove <i>old</i> key' }).click()
    await page.getByRole('dialog', { name: 'Remove <i>old</i> key of bob?' }).waitFor()
    await visitor.look('admin-device-remove')
    await dialog.getByRole('button', { name: 'Remove', exact: true }).click()
    await dialog.getByText('This user has no second factor.').waitFor()
    await dialog.getByRole('button', { name: 'Close' }).last().click()
    await bob.page.reload()
    await bob.page.getByText('You have no second factor.').waitFor()

    const next = `${password}, another one`
    const reset = await cluster.tctl('users', 'reset', 'bob')
    await bob.page.reload()
    await bob.page.getByLabel('User name').waitFor()
    await signUp(linkOf(reset.stdout), next, 'new key')
    await bob.page.goto('/web/account')
    await enter(password)
    await bob.page.getByRole('alert').getByText('wrong user name, password or code').waitFor()
    await enter(next)
    await bob.page.getByText('new key').waitFor()
  })

  test('who has nothing but a key sets another password with it, the present one first', async () => {
    await forgetAttempts()
    const change = async (old: string) => {
      await bob.page.getByLabel('Password until now').fill(old)
      await bob.page.getByLabel('New password', { exact: true }).fill(password)
      await bob.page.getByLabel('The new password again').fill(password)
      await bob.page.getByRole('button', { name: 'Change the password' }).click()
    }
    await change('wrong')
    await bob.page.getByRole('alert').getByText('wrong user name, password or code').waitFor()
    await change(`${password}, another one`)
    // It ends this session too.
    const again = bob.page.getByRole('dialog', { name: 'Your session is over' })
    await again.getByLabel('Password', { exact: true }).fill(password)
    await again.getByRole('button', { name: 'Log in', exact: true }).click()
    await again.waitFor({ state: 'detached' })
    expect(bob.problems).toEqual([])
    await page.goto('/web/account')
  })

  test('five wrong passwords lock the account, with the words of every login', async () => {
    await logOut()
    await page.getByLabel('User name').fill('alice')
    for (let tries = 0; tries < 6; tries++) {
      await page.getByLabel('Password', { exact: true }).fill(`wrong-${tries}`)
      await logIn().click()
      await page.getByRole('alert').waitFor()
      await page.locator('button[type=submit]:not([data-loading])').waitFor()
    }
    expect(await page.getByRole('alert').innerText()).toMatch(/wrong user name, password or code|locked|try again/)
  })

  test('nothing went wrong in the browser', () => expect(visitor.problems).toEqual([]))
})

describe('what the cluster asks for', () => {
  const app = 'An authenticator app on a phone'
  const key = 'A security key, or this device'
  const rows = [
    { mode: 'off', offers: [], task: 'Set a password.', gives: undefined, hint: undefined, adds: [] },
    { mode: 'otp', offers: [app], task: 'add an authenticator app', gives: app, hint: /app$/, adds: ['Add an app'] },
    {
      mode: 'webauthn',
      offers: [key],
      task: 'enrol a security key',
      gives: key,
      hint: undefined,
      adds: ['Add a security key'],
    },
    {
      mode: 'on',
      offers: [app, key],
      task: 'Set a password and a second factor.',
      gives: app,
      hint: /empty to use a security key$/,
      adds: ['Add an app', 'Add a security key'],
    },
    {
      mode: 'optional',
      offers: [app, key, 'None'],
      task: 'a second factor if you like',
      gives: 'None',
      hint: /or if you have neither$/,
      adds: ['Add an app', 'Add a security key'],
    },
  ] as const
  let dora: Visitor

  /** Until the proxy knows, too. */
  async function ask(mode: string): Promise<void> {
    const file = join(cluster.dir, 'preference.yaml')
    const head = 'kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\n'
    writeFileSync(file, `${head}spec: {type: local, second_factor: ${mode}}\n`)
    const made = await cluster.tctl('create', '-f', '--confirm', file)
    expect(made.code, made.stderr).toBe(0)
    const asked = async () =>
      (await (await dora.context.request.get('/webapi/session')).json()) as { secondFactor: string }
    await until(`${mode} at the proxy`, async () => ((await asked()).secondFactor === mode ? true : undefined))
  }

  beforeAll(async () => {
    await forgetAttempts()
    // 400 is the answer to a link with which nothing can be done.
    dora = await Visitor.open(browser, cluster, /status of 40[013]/)
    await addKey(dora.page)
  })

  test.each(rows)('second_factor $mode: sign-up, login and account offer that and nothing else', async (row) => {
    const { mode, offers, task, gives, hint, adds } = row
    const { page } = dora
    await ask(mode)
    const name = `dora-${mode}`
    const made = await cluster.tctl('users', 'add', name, `--logins=${login}`, '--roles=access')
    await page.goto(/https:\/\/\S+\/web\/invite\/[0-9a-f]+/.exec(made.stdout)?.[0] ?? '')
    await page.getByText(task).waitFor()
    const shown = await page.locator('fieldset label:visible').allInnerTexts()
    expect(shown.map((label) => label.trim()).filter((label) => /app on|key, or|None/.test(label))).toEqual(offers)
    await page.getByLabel('New password', { exact: true }).fill(password)
    await page.getByLabel('The same password again').fill(password)
    if (gives !== undefined) await page.getByLabel(gives).check()
    const secret = gives === app ? await page.locator('#secret').innerText() : ''
    expect(await page.getByText('In a terminal the same is done by').isVisible()).toBe(mode !== 'webauthn')
    await dora.look(`invite-${mode}`)
    if (gives === app) await page.getByLabel('Code that the app shows').fill(oneTimeCode(secret))
    await page.getByRole('button', { name: 'Finish' }).click()
    await page.getByRole('heading', { name: 'Done' }).waitFor()
    expect((await page.locator('#codes code').count()) > 0).toBe(gives === app || gives === key)

    await page.goto('/web/account')
    await page.getByLabel('User name').fill(name)
    await page.getByLabel('Password', { exact: true }).fill(password)
    const code = page.getByLabel('One-time code')
    expect(await code.count()).toBe(hint === undefined ? 0 : 1)
    if (hint !== undefined) await page.getByText(hint).waitFor()
    expect(await page.getByRole('button', { name: 'Use a recovery code' }).count()).toBe(mode === 'off' ? 0 : 1)
    if (mode === 'webauthn' || mode === 'optional') await dora.look(`login-${mode}`)
    // The same step is good once, for the sign-up.
    if (gives === app) await code.fill(oneTimeCode(secret, 30))
    await page.getByRole('button', { name: 'Log in', exact: true }).click()
    await page.getByRole('heading', { name: 'Second factors' }).waitFor()
    await page.getByText(/^You have no second factor\.$|^added /).waitFor()
    expect(await page.getByRole('button', { name: /^Add a/ }).allInnerTexts()).toEqual(adds)
    if (mode === 'off') await dora.look(`account-${mode}`)
    await page.getByRole('button', { name: `Menu of ${name}` }).click()
    await page.getByRole('menuitem', { name: 'Log out' }).waitFor()
    if (mode === 'off') await dora.lookOver('menu-account')
    await page.getByRole('menuitem', { name: 'Log out' }).click()
    await page.getByRole('heading', { name: 'Log in to feat' }).waitFor()
  })

  test('a link from a time when the cluster asked for something else offers what it asks for now', async () => {
    const { page } = dora
    const link = async (name: string) => {
      const made = await cluster.tctl('users', 'add', name, `--logins=${login}`, '--roles=access')
      return /https:\/\/\S+\/web\/invite\/[0-9a-f]+/.exec(made.stdout)?.[0] ?? ''
    }
    await ask('otp')
    const withApp = await link('early')
    await ask('webauthn')
    const withKey = await link('late')
    await page.goto(withApp)
    await page.getByText('enrol a security key').waitFor()
    expect(await page.getByLabel(app).isVisible()).toBe(false)
    await page.getByLabel(key).check()
    await ask('otp')
    await page.goto(withKey)
    await page.getByText('ask for another link').waitFor()
    expect(await page.getByLabel('New password', { exact: true }).isVisible()).toBe(false)
    expect(await dora.violations()).toEqual([])
    expect(dora.problems).toEqual([])
  })
})
