/** The quickstart, as far as it goes without a person: starts, prints steps that work, stops, starts again on the same data. */

import { mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { login, oneTimeCode, password, temporaryDirectory } from './cluster.ts'
import { Dialog, run, until } from './run.ts'
import { openBrowser } from './web-page.ts'

const dir = temporaryDirectory()
/** Pictures for the documentation go there when it is set. */
const pictures = process.env.TOUR_PICTURES
const quickstart = (name = 'q') =>
  new Dialog(process.execPath, ['src/cli/quickstart/main.ts', `--dir=${join(dir, name)}`], {
    env: { XDG_CACHE_HOME: dir },
  })

afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('the quickstart', () => {
  test('prints lines that can be typed as they are', async () => {
    const running = quickstart()
    try {
      await running.expect(/Ctrl-C stops the cluster/)
      const lines = running.output.split('\n').map((line) => line.trim())
      const line = (start: string) => lines.find((each) => each.startsWith(start)) ?? `missing: ${start}`
      const setup = line('export PATH=')
      const shell = (command: string, input = '') =>
        run('bash', ['--norc', '-c', `${setup}; ${command}`], { input, env: { XDG_CACHE_HOME: dir } })
      const signup = new Dialog('bash', ['--norc', '-c', `${setup}; ${line('tsh signup')}`])
      signup.send(`${password}\n${password}\n`)
      const secret = (await signup.expect(/secret into it: ([A-Z2-7]+)/))[1] ?? ''
      signup.send(`${oneTimeCode(secret)}\n`)
      expect(await signup.exited, signup.output).toBe(0)
      const loggedIn = await shell(line('tsh login'), `${password}\n${oneTimeCode(secret, 30)}\n`)
      expect(loggedIn.code, loggedIn.stderr).toBe(0)
      expect((await shell('tsh ls')).stdout).toContain('env=quickstart')
      const uptime = await shell(lines.find((each) => each.startsWith('tsh ssh') && each.endsWith('uptime')) ?? 'false')
      expect(uptime.stdout, uptime.stderr).toContain('load average')
      await shell(line('tsh config >'))
      const plain = await shell(`${line('ssh -F')} echo plain`)
      expect(plain).toEqual({ code: 0, stdout: 'plain\n', stderr: '' })
      const status = lines.find((each) => each.startsWith('tctl -c') && each.endsWith(' status')) ?? 'false'
      expect((await shell(status)).stdout).toContain('quickstart')
      expect(statSync(join(dir, 'q')).mode & 0o777).toBe(0o700)
    } finally {
      expect(await running.stop('SIGINT'), running.output).toBe(0)
    }
  })

  test('goes on with the same data', async () => {
    const running = quickstart()
    await running.expect(/Ctrl-C stops the cluster/)
    expect(running.output).not.toContain('tsh signup')
    expect(await running.stop('SIGINT')).toBe(0)
  })

  test('leads from its link to a shell in the browser, the recording of it and the audit log', async () => {
    const running = quickstart('tour')
    const browser = await openBrowser()
    try {
      const [link = ''] = await running.expect(/https:\S+\/web\/invite\/[0-9a-f]+/)
      const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        viewport: { width: 1120, height: 700 },
        colorScheme: 'light',
        reducedMotion: 'reduce',
      })
      const page = await context.newPage()
      page.setDefaultTimeout(60_000)
      const picture = async (name: string) => {
        if (pictures === undefined) return
        mkdirSync(pictures, { recursive: true })
        await page.waitForTimeout(500)
        await page.screenshot({ path: join(pictures, `${name}.png`) })
      }
      await page.goto(link)
      await page.fill('#password', password)
      await page.fill('#again', password)
      const secret = /[A-Z2-7]{32}/.exec(await page.locator('body').innerText())?.[0] ?? ''
      await picture('sign-up')
      await page.getByLabel('Code that the app shows').fill(oneTimeCode(secret))
      await page.click('#finish')
      await page.locator('#done').waitFor()
      await page.getByRole('link', { name: /log in/i }).click()
      await page.getByLabel('User name').fill(login)
      await page.getByLabel('Password', { exact: true }).fill(password)
      await page.getByLabel('One-time code').fill(oneTimeCode(secret, 30))
      await picture('login')
      await page.getByRole('button', { name: 'Log in', exact: true }).click()
      await page.getByText('env=quickstart').waitFor()
      await picture('servers')
      await page
        .getByRole('button', { name: /^Connect to / })
        .first()
        .click()
      const rows = page.locator('.terminal:visible .xterm-rows')
      const shown = (what: RegExp) =>
        until(`${what} on the screen`, async () => (what.test((await rows.innerText()).trimEnd()) ? true : undefined))
      await shown(/[$#>]$/)
      await page.locator('.terminal:visible textarea').focus()
      await page.keyboard.type('echo "hello $((40 + 2))" && uptime')
      await page.keyboard.press('Enter')
      await shown(/hello 42\s+\d[\d:]+ up/)
      await picture('shell')
      await page.keyboard.type('exit')
      await page.keyboard.press('Enter')
      await page.getByRole('link', { name: 'Recordings', exact: true }).click()
      await page.locator('.recording-name').first().click()
      await page.getByRole('button', { name: 'Play again' }).waitFor()
      expect(await page.locator('.stage').innerText()).toContain('hello 42')
      // What the deck says of terminals must not lay the screen over the bar.
      const [screen, bar] = [
        await page.locator('.stage .xterm').boundingBox(),
        await page.locator('.player-bar').boundingBox(),
      ]
      expect((screen?.y ?? 0) + (screen?.height ?? 0)).toBeLessThanOrEqual(bar?.y ?? 0)
      await picture('recording')
      await page.getByRole('link', { name: 'Audit', exact: true }).click()
      await page.getByText('session.start', { exact: true }).first().waitFor()
      await picture('audit')
    } finally {
      await browser.close()
      expect(await running.stop('SIGINT'), running.output).toBe(0)
    }
  })
})
