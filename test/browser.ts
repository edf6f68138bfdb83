/** Chromium with a security key in software, for end-to-end tests, driven over its own protocol. */

import type { Page } from 'playwright-core'
import { launchChromium } from './chromium.ts'

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
    const protocol = await context.newCDPSession(page)
    await protocol.send('WebAuthn.enable')
    await protocol.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'usb',
        hasResidentKey: false,
        hasUserVerification: false,
        automaticPresenceSimulation: true,
      },
    })
    return { page, complaints, close: () => browser.close() }
  } catch (error) {
    await browser.close()
    throw error
  }
}
