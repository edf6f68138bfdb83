/** Chromium with a security key in software, for end-to-end tests: Debian's, driven over its own protocol. */

import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)

export interface BrowserPage {
  readonly page: Page
  /** What the browser complained about: blocked by a policy, thrown by a script. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

/** A page of its own browser, whose security key is touched as soon as it is asked. */
export async function openBrowser(): Promise<BrowserPage> {
  if (executablePath === undefined) throw new Error('no Chromium; sh scripts/setup.sh --for test installs it')
  const browser: Browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
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
