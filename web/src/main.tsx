/**
 * Starts the page. Its parts come over the line together and are run one after the other: what takes long in one piece keeps the
 * browser from answering, and a slow device for seconds.
 */

// First: style sheets that are made while the rest loads need it.
import './style-nonce.ts'
import './mantine.css'
import 'virtual:theme.css'
import './first.css'
import './style.css'

/** Milliseconds. */
const longestWait = 500

/** Lets the browser draw and answer before the next part. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

/** Until what the proxy has sent is on the screen; not longer, since a page in the background is not drawn at all. */
const drawn = (): Promise<void> =>
  new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve))
    setTimeout(resolve, longestWait)
  })

/**
 * React makes errors when it is read, to tell them apart later. Under the eyes of developer tools, Lighthouse among them, the stack of
 * each would be worked out by reading all of it once more, which takes longer than everything else here.
 */
async function withoutStacks<T>(load: () => Promise<T>): Promise<T> {
  const { stackTraceLimit } = Error
  Reflect.deleteProperty(Error, 'stackTraceLimit')
  try {
    return await load()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

async function start(place: HTMLElement): Promise<void> {
  await drawn()
  await import('./start/data.ts')
  await pause()
  await import('./start/router.ts')
  await pause()
  const { createRoot, startTransition } = await withoutStacks(() => import('./start/draw.ts'))
  await pause()
  const { App, begin } = await import('./app.tsx')
  await pause()
  await begin()
  // In pieces, between which the browser answers.
  startTransition(() => createRoot(place).render(<App />))
}

const place = document.getElementById('root')
if (place !== null) void start(place)
