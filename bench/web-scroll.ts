/** How smoothly the servers of a large cluster scroll by in Debian's Chromium, from the first to the last. */

import { launchChromium } from '../test/chromium.ts'
import type { Cluster } from './cluster.ts'
import { percentile } from './statistics.ts'
import { logIn, setPassword } from './web-session.ts'

/** Pixels per frame: three screens of 800 in a fifth of a second, as a flick of a finger does. */
const step = 200
/** Milliseconds for all of it, on a machine that is busy with many others. */
const longest = 300_000

/** Scrolls on with each frame, waits at the end for what is still being fetched, and ends when the last row is there. */
const scroll = (rows: number) => `new Promise((resolve) => {
  const frames = [];
  let [before, moved] = [performance.now(), false];
  const frame = (now) => {
    if (moved) frames.push(now - before);
    before = now;
    const y = window.scrollY;
    window.scrollTo(0, y + ${step});
    moved = window.scrollY > y;
    const last = document.querySelector('.node[aria-rowindex="${rows + 1}"]');
    const isSeen = last !== null && last.getBoundingClientRect().bottom <= window.innerHeight;
    if (isSeen || now > ${longest}) resolve({ frames, isSeen });
    else requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})`

/** The 95th percentile of the milliseconds between two frames. Throws when the last of the servers is not reached. */
export async function frameTimes(cluster: Cluster, servers: number): Promise<number> {
  await setPassword(cluster)
  const session = await logIn(cluster)
  await using browser = await launchChromium()
  await using context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } })
  const [name = '', value = ''] = session.cookie.split('=')
  await context.addCookies([{ name, value, url: session.origin, secure: true, httpOnly: true, sameSite: 'Strict' }])
  const page = await context.newPage()
  await page.goto(`${session.origin}/web/nodes`)
  await page.locator('.node[aria-rowindex="2"]').waitFor({ timeout: 60_000 })
  const { frames, isSeen } = (await page.evaluate(scroll(servers))) as { frames: readonly number[]; isSeen: boolean }
  if (!isSeen) throw new Error(`the last of ${servers} servers was not reached in ${longest / 1000} s`)
  const slow = frames.filter((ms) => ms > 50).length
  console.error(`    ${slow} of ${frames.length} frames took longer than 50 ms`)
  return percentile(frames, 95)
}
