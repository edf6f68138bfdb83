/** A browser with a security key, for the plain pages that finish what `tsh` began. */

import type { Page } from 'playwright-core'
import { addKey, launchChromium } from './chromium.ts'

export interface BrowserPage {
  readonly page: Page
  /** What the browser complained about: blocked by a policy, thrown by a script. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

/** A page of its own browser, whose security key is touched as soon as it is asked. */
export async function openBrowser(): Promise<BrowserPage> {
  const browser = await launchChromium()
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const page = await context.newPage()
    page.setDefaultTimeout(30_000)
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    await addKey(page)
    return { page, complaints, close: () => browser.close() }
  } catch (error) {
    await browser.close()
    throw error
  }
}
