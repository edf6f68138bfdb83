/**
 * The figures about the first load of the page, as Lighthouse takes them, in Debian's Chromium with an empty cache: the login and the
 * servers after a login, of which the worse counts. The device is Lighthouse's of the middle class (its desktop slowed four times),
 * the line that of its desktop (10 Mbit/s, 40 ms), and the goals are what Lighthouse calls good.
 */

import type { Browser, BrowserContext, CDPSession, Page } from 'playwright-core'
import { launchChromium } from '../test/chromium.ts'
import type { Cluster } from './cluster.ts'
import type { Context, Figure, Row } from './rows.ts'
import { median } from './statistics.ts'
import { logIn, originOf, setPassword, type WebSession, webPassword, webUser } from './web-session.ts'

/** Of the device, in Lighthouse's measure: the desktops for which it means its factor of four have 1500 to 2000. */
const deviceIndex = 440
/** Lighthouse's factor, at which this machine's own speed ends to count. */
const mostSlowdown = 4
const roundTrip = 40
const megabitsPerSecond = 10

/** What one load showed. */
interface Load {
  /** Milliseconds since the navigation. */
  readonly firstPaint: number
  readonly largestPaint: number
  /** The sum of all shifts, which is never less than the worst window of them. */
  readonly shift: number
}

interface Loads extends Load {
  /** Milliseconds by which tasks after the first paint are longer than 50 on the device. */
  readonly blocking: number
  /** Of a visit with an empty cache from the login to the servers, headers included. */
  readonly bytes: number
}

/** Before any script of the page. The policy of the page does not concern the inspector. */
const watch = `globalThis.seen = { largest: 0, shift: 0 };
const observe = (type, each) =>
  new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true });
observe('largest-contentful-paint', (entry) => { seen.largest = entry.startTime });
observe('layout-shift', (entry) => { if (!entry.hadRecentInput) seen.shift += entry.value });`

const read = `({
  firstPaint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
  largestPaint: seen.largest,
  shift: seen.shift,
})`

/** Lighthouse's BenchmarkIndex: how fast the browser joins strings and copies numbers here and now. */
const index = `(() => {
  const timed = (run) => {
    const start = performance.now();
    let count = 0;
    while (count % 10 !== 0 || performance.now() - start < 500) run(count++);
    return count / 10 / ((performance.now() - start) / 1000);
  };
  const strings = timed(() => {
    let s = '';
    for (let j = 0; j < 10000; j++) s += 'a';
    if (s.length === 1) throw new Error('never, which the compiler does not know');
  });
  const arrays = [[], []];
  for (let j = 0; j < 100000; j++) arrays[0][j] = arrays[1][j] = j;
  const copies = timed((count) => {
    const [source, target] = count % 2 === 0 ? arrays : [arrays[1], arrays[0]];
    for (let j = 0; j < source.length; j++) target[j] = source[j];
  });
  return (strings + copies) / 2;
})()`

/** How much slower than this machine the device is. A slow or busy machine is no reason to measure a slower device. */
async function slowdownOf(browser: Browser): Promise<number> {
  await using context = await visit(browser)
  const page = await context.newPage()
  const samples: number[] = []
  for (let round = 0; round < 3; round++) samples.push(Number(await page.evaluate(index)))
  return Math.min(mostSlowdown, Math.max(1, median(samples) / deviceIndex))
}

/** Lighthouse's factors, by which the inspector's delay of a request stands for the round trips of a new connection. */
async function slow(page: Page, slowdown: number): Promise<CDPSession> {
  const inspector = await page.context().newCDPSession(page)
  const bytesPerSecond = (0.9 * megabitsPerSecond * 1024 * 1024) / 8
  await inspector.send('Network.enable')
  await inspector.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 3.75 * roundTrip,
    downloadThroughput: bytesPerSecond,
    uploadThroughput: bytesPerSecond,
  })
  await inspector.send('Emulation.setCPUThrottlingRate', { rate: slowdown })
  return inspector
}

/** With a cache of its own, and somebody logged in. */
async function visit(browser: Browser, session?: WebSession): Promise<BrowserContext> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } })
  if (session !== undefined) {
    const [name = '', value = ''] = session.cookie.split('=')
    await context.addCookies([{ name, value, url: session.origin, secure: true, httpOnly: true, sameSite: 'Strict' }])
  }
  return context
}

const formShown = (page: Page) => page.getByLabel('User name').waitFor()
const serversShown = (page: Page) => page.getByText('bench-node', { exact: true }).waitFor()

/** Opens an address in a fresh browser and waits until it is drawn and nothing comes any more. */
async function load(
  browser: Browser,
  slowdown: number,
  address: string,
  drawn: (page: Page) => Promise<void>,
  session?: WebSession,
): Promise<Load> {
  await using context = await visit(browser, session)
  const page = await context.newPage()
  await page.addInitScript({ content: watch })
  await slow(page, slowdown)
  await page.goto(address)
  await drawn(page)
  await calm(page)
  return (await page.evaluate(read)) as Load
}

/** Lighthouse, too, waits for a while in which nothing is fetched and no task is long. */
async function calm(page: Page): Promise<void> {
  await page.waitForLoadState('networkidle')
  await page.waitForTimeout(2_000)
}

interface TraceEvent {
  readonly name: string
  readonly pid: number
  readonly tid: number
  /** Microseconds: when, and how long on the processor. */
  readonly ts: number
  readonly tdur?: number
}

/**
 * As Lighthouse simulates it: tasks at full speed, each as many times longer as the device is slower. What counts is their time on the
 * processor, so that a busy machine changes little.
 */
async function blockingOf(
  browser: Browser,
  address: string,
  drawn: (page: Page) => Promise<void>,
  session?: WebSession,
): Promise<number> {
  await using context = await visit(browser, session)
  const page = await context.newPage()
  await slow(page, 1)
  await browser.startTracing(page, { categories: ['loading', 'disabled-by-default-devtools.timeline'] })
  await page.goto(address)
  // Looking for an element runs scripts of ours in the page, which are none of its work.
  await calm(page)
  const trace = JSON.parse((await browser.stopTracing()).toString('utf8')) as { traceEvents: readonly TraceEvent[] }
  await drawn(page)
  const painted = trace.traceEvents.findLast(({ name }) => name === 'firstContentfulPaint')
  if (painted === undefined) throw new Error('the trace has no first paint')
  return trace.traceEvents
    .filter(({ name, pid, tid, ts }) => {
      return name === 'RunTask' && pid === painted.pid && tid === painted.tid && ts > painted.ts
    })
    .reduce((sum, { tdur = 0 }) => sum + Math.max(0, (mostSlowdown * tdur) / 1000 - 50), 0)
}

/** Bytes that come over the line until somebody has logged in and sees the servers. */
async function bytesOfVisit(browser: Browser, cluster: Cluster): Promise<number> {
  await using context = await visit(browser)
  const page = await context.newPage()
  const inspector = await slow(page, 1)
  let bytes = 0
  inspector.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength
  })
  await page.goto(`${originOf(cluster)}/web/login`)
  await page.getByLabel('User name').fill(webUser)
  await page.getByLabel('Password', { exact: true }).fill(webPassword)
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
  await serversShown(page)
  await calm(page)
  return bytes
}

const measured = new WeakMap<Cluster, Promise<Loads>>()

function loads(context: Context): Promise<Loads> {
  const known = measured.get(context.cluster) ?? measure(context)
  measured.set(context.cluster, known)
  return known
}

async function measure({ cluster, quick }: Context): Promise<Loads> {
  await setPassword(cluster)
  const session = await logIn(cluster)
  await using browser = await launchChromium()
  const pages = [
    { name: 'login', address: `${session.origin}/web/login`, drawn: formShown, session: undefined },
    { name: 'servers', address: `${session.origin}/web/nodes`, drawn: serversShown, session },
  ]
  const seen = pages.map(() => [] as (Load & Pick<Loads, 'blocking'>)[])
  for (let round = 0; round < (quick ? 3 : 9); round++) {
    const slowdown = await slowdownOf(browser)
    for (const [which, { address, drawn, session }] of pages.entries()) {
      const one = await load(browser, slowdown, address, drawn, session)
      seen[which]?.push({ ...one, blocking: await blockingOf(browser, address, drawn, session) })
    }
  }
  const worse = (key: keyof Load | 'blocking'): number => {
    const each = seen.map((all) => median(all.map((one) => one[key])))
    const shown = pages.map(({ name }, which) => `${name} ${each[which]?.toPrecision(3)}`)
    console.error(`    ${key}: ${shown.join(', ')}`)
    return Math.max(...each)
  }
  return {
    bytes: await bytesOfVisit(browser, cluster),
    firstPaint: worse('firstPaint'),
    largestPaint: worse('largestPaint'),
    blocking: worse('blocking'),
    shift: worse('shift'),
  }
}

function row(name: string, title: string, goal: number, unit: Figure['unit'], figure: (loads: Loads) => number): Row {
  return {
    name,
    title,
    goal: { is: 'at most', value: goal },
    measure: async (context) => ({ ours: figure(await loads(context)), theirs: undefined, unit }),
  }
}

const where = `on ${megabitsPerSecond} Mbit/s, ${roundTrip} ms, a slow processor`

export const webLoadRows: readonly Row[] = [
  row(
    'web-bytes',
    'page: bytes from an empty cache to the servers, compressed',
    300,
    'KB',
    ({ bytes }) => bytes / 1000,
  ),
  row('web-fcp', `page: first contentful paint ${where}`, 1_800, 'ms', (all) => all.firstPaint),
  row('web-lcp', 'page: largest contentful paint, same', 2_500, 'ms', (all) => all.largestPaint),
  row('web-tbt', 'page: total blocking time, same', 200, 'ms', (all) => all.blocking),
  row('web-cls', 'page: cumulative layout shift, same', 0.1, '', (all) => all.shift),
]
