/** Debian's Chromium, for tests and measurements: without its own errands on the network. */

import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

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
