/** Debian's Chromium, for tests and measurements: without its own errands on the network. */

import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)

/** Throws where there is none. */
export async function launchChromium(): Promise<Browser> {
  if (executablePath === undefined) throw new Error('no Chromium; sh scripts/setup.sh --for test installs it')
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // `ignoreHTTPSErrors` alone asks for each request anew, and a busy browser gave up with ERR_TOO_MANY_RETRIES.
      '--ignore-certificate-errors',
    ],
  })
}

/** A security key in software, which is touched as soon as the page asks for it. */
export async function addKey(page: Page): Promise<void> {
  const protocol = await page.context().newCDPSession(page)
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
}
