/** A real browser on the page of a cluster, looked at by axe in the light, in the dark and as wide as a phone. For all `web*.test.ts`. */

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { expect } from 'vitest'
import { launchChromium } from './chromium.ts'
import { type Cluster, password } from './cluster.ts'
import { root, until } from './run.ts'

/** Pictures of all that is looked at are kept there. */
const pictures = process.env.WEB_PICTURES ?? join(root, '.vitest/pictures')
const axe = readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8')

export const openBrowser: () => Promise<Browser> = launchChromium

export class Visitor {
  readonly context: BrowserContext
  readonly page: Page
  /** What went wrong in the page, or against its policy. */
  readonly problems: string[] = []

  private constructor(context: BrowserContext, page: Page, expected: RegExp) {
    this.context = context
    this.page = page
    page.setDefaultTimeout(60_000)
    page.on('pageerror', (error) => this.problems.push(`error: ${error.message}`))
    page.on('dialog', (dialog) => this.problems.push(`dialog: ${dialog.message()}`))
    page.on('console', (message) => {
      if (message.type() === 'error' && !expected.test(message.text()))
        this.problems.push(`${message.text()} ${JSON.stringify(message.location())}`)
    })
  }

  /** `expected`: what browsers write down as an error and is an answer, such as a refused login. */
  static async open(
    browser: Browser,
    cluster: Cluster,
    expected = /status of 40[13]/,
    userAgent?: string,
  ): Promise<Visitor> {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 1280, height: 800 },
      colorScheme: 'light',
      ...(userAgent === undefined ? {} : { userAgent }),
      baseURL: `https://${cluster.proxyAddress}`,
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    return new Visitor(context, await context.newPage(), expected)
  }

  /** With the fixture's password, from whatever page leads to the login. */
  async login(user: string, path = '/web/login'): Promise<void> {
    await this.page.goto(path)
    await this.page.getByLabel('User name').fill(user)
    await this.page.getByLabel('Password', { exact: true }).fill(password)
    await this.page.getByRole('button', { name: 'Log in', exact: true }).click()
    await this.page.locator('header.bar').waitFor()
  }

  /** No violation of WCAG 2.1 AA, and nothing wider than the window. */
  async look(name: string): Promise<void> {
    const { page } = this
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 800 })
        await this.#picture(`${name}-${scheme}-${width}`)
        // A terminal takes its size a moment after the window.
        await until(`${name} to be no wider than ${width}`, async () =>
          (await page.evaluate('document.documentElement.scrollWidth > window.innerWidth')) === true ? undefined : true,
        )
        // Colours are the same in every width, and which elements there are is not another one in the dark.
        if (width === 390 && scheme === 'light') expect(await this.violations(), `${name}, ${width}`).toEqual([])
      }
      await page.setViewportSize({ width: 1280, height: 800 })
      await this.#rest()
      expect(await this.violations(), `${name}, ${scheme}`).toEqual([])
    }
    await page.emulateMedia({ colorScheme: 'light' })
  }

  async #picture(name: string): Promise<void> {
    mkdirSync(pictures, { recursive: true })
    await this.#rest()
    await this.page.screenshot({ path: join(pictures, `${name}.png`) })
  }

  /** What is half transparent on its way has other colours. */
  async #rest(): Promise<void> {
    const isStill = `document.getAnimations().every((one) => one.playState !== 'running' || one.effect?.getComputedTiming().endTime === Infinity)`
    await until('the page to come to rest', async () => ((await this.page.evaluate(isStill)) ? true : undefined))
  }

  /** As `look`, for what would close if the window changed: an open menu. */
  async lookOver(name: string): Promise<void> {
    for (const scheme of ['light', 'dark'] as const) {
      await this.page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      await this.#picture(`${name}-${scheme}`)
      expect(await this.violations(), `${name}, ${scheme}`).toEqual([])
    }
    await this.page.emulateMedia({ colorScheme: 'light' })
  }

  /** What a program shows in a terminal is its own business. Run through the inspector: the policy lets no foreign script in. */
  async violations(): Promise<unknown[]> {
    const { page } = this
    // Half a megabyte, which a page that was looked at before has.
    if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(axe)
    return await page.evaluate(
      `axe.run({ exclude: ['.xterm'] }, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], resultTypes: ['violations'] }).then((result) =>
        result.violations.map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.html.slice(0, 160) + ' ' + node.failureSummary) })))`,
    )
  }

  /** Of the terminal in use. */
  screen() {
    return this.page.locator('.pane.current .terminal:visible .xterm-rows')
  }

  async shows(wanted: string): Promise<void> {
    const screen = this.screen()
    const isThere = async () => ((await screen.innerText()).includes(wanted) ? true : undefined)
    await until(`${wanted} on the screen`, isThere, 180_000)
  }

  async prompt(): Promise<void> {
    const screen = this.screen()
    await until('a prompt', async () => (/[$#>]\s*$/.test((await screen.innerText()).trimEnd()) ? true : undefined))
  }

  /** A command in the terminal in use. */
  async type(command: string): Promise<void> {
    await this.page.locator('.pane.current .terminal:visible textarea').focus()
    await this.page.keyboard.type(command)
    await this.page.keyboard.press('Enter')
  }
}
