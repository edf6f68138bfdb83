/**
 * `tsh ssh -X` and `-Y`: programs on the node show their windows here. `-X` gives them an untrusted cookie, made for this session by the X
 * server's SECURITY extension: they cannot read what is typed into other windows. `-Y` gives them everything that local programs have.
 */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import type { Env } from '../../../common/env.ts'
import { AccessDenied, BadParameter, ConnectionProblem, NotFound } from '../../../errors/errors.ts'
import { messageOf } from '../../../errors/system.ts'
import type { X11Request } from '../../../ssh/connection/types.ts'
import { spliceStreams } from '../../../ssh/forward/splice.ts'
import { printable } from '../../common/printable.ts'
import { connectDisplay, type Display, parseDisplay } from './x11-display.ts'
import { type Cookie, replaceCookie } from './x11-spoof.ts'

export interface X11Options {
  readonly trusted: boolean
  /** Milliseconds after which an untrusted session opens no more windows; 0 for never. As ForwardX11Timeout. */
  readonly timeoutMs: number
}

export interface X11Client {
  /** For the node. */
  readonly request: X11Request
  /** Serves a connection that the node opened. */
  open(): Promise<Duplex>
  /** Resolves when no connection is open (any more), or the signal aborts. */
  idle(signal: AbortSignal): Promise<void>
}

/** Longer than the session's own limit, so that the X server does not forget the cookie before it. Milliseconds; as OpenSSH. */
const slackMs = 60_000
/** For the first packet of a connection, and for `xauth`. Milliseconds. */
const waitMs = 30_000
const xauthMs = 10_000

/** Finds the display and its cookie. Throws a kind of `src/errors` that says why X11 cannot be forwarded. */
export async function prepareX11(options: X11Options, env: Env, variables = process.env): Promise<X11Client> {
  const text = variables.DISPLAY ?? ''
  if (text === '') throw new BadParameter('DISPLAY', 'DISPLAY is not set: there is no X server to forward to')
  const display = parseDisplay(text)
  const real = options.trusted ? await trustedCookie(display, env) : await untrustedCookie(display, options.timeoutMs)
  const fake: Cookie = { protocol: real.protocol, data: env.randomBytes(real.data.length) }
  const began = env.monotonicMs()
  const running = new Set<Promise<void>>()
  return {
    request: {
      singleConnection: false,
      authProtocol: fake.protocol,
      authCookie: fake.data.toString('hex'),
      screenNumber: display.screen,
    },
    async open() {
      if (!options.trusted && options.timeoutMs > 0 && env.monotonicMs() - began > options.timeoutMs) {
        complain('a connection was refused: the time for untrusted X11 is over (--x11-untrusted-timeout)')
        throw new AccessDenied('the time for X11 forwarding is over')
      }
      const [near, far] = duplexPair()
      const served = serve(far, display, fake, real, env).finally(() => running.delete(served))
      running.add(served)
      return near
    },
    async idle(signal) {
      const ended = new Promise<void>((resolve) => {
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve(), { once: true })
      })
      while (running.size > 0 && !signal.aborted) await Promise.race([Promise.all(running), ended])
    },
  }
}

const complain = (what: string) => process.stderr.write(`tsh: X11: ${printable(what)}\r\n`)

/** Lets the connection through to the X server once its first packet has shown the cookie. */
async function serve(client: Duplex, display: Display, fake: Cookie, real: Cookie, env: Env): Promise<void> {
  client.on('error', () => {})
  try {
    const bytes = await firstPacket(client, fake, real, env)
    const server = await connectDisplay(display)
    server.on('error', () => {})
    server.write(bytes)
    await spliceStreams(client, server)
  } catch (error) {
    complain(`a connection was refused: ${messageOf(error)}`)
    client.destroy()
  }
}

function firstPacket(client: Duplex, fake: Cookie, real: Cookie, env: Env): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    const timer = new AbortController()
    const stop = () => {
      timer.abort()
      client.off('data', look).off('end', gone).off('close', gone)
      client.pause()
    }
    const fail = (error: Error) => {
      stop()
      reject(error)
    }
    const gone = () => fail(new ConnectionProblem('it ended before it began'))
    const look = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const found = replaceCookie(received, fake, real)
      if (found.kind === 'refused') fail(new AccessDenied(found.reason))
      if (found.kind !== 'ok') return
      stop()
      resolve(found.bytes)
    }
    client.on('data', look).on('end', gone).on('close', gone)
    env.sleep(waitMs, timer.signal).then(
      () => fail(new ConnectionProblem('it said nothing')),
      () => {},
    )
  })
}

/** What local programs use, or, where the X server asks for none, something made up. */
async function trustedCookie(display: Display, env: Env): Promise<Cookie> {
  // Entries of displays on `localhost` stand under the machine's own name.
  const name = display.host === 'localhost' ? `unix:${display.number}.${display.screen}` : display.text
  const found = lastCookie(await xauth(['list', name]).catch(missing))
  if (found !== undefined) return found
  process.stderr.write(
    'tsh: warning: xauth knows no cookie of this display; the X server must let tsh in without one\n',
  )
  return { protocol: 'MIT-MAGIC-COOKIE-1', data: env.randomBytes(16) }
}

/** A new cookie with few rights, kept in a file of its own that is gone at once. */
async function untrustedCookie(display: Display, timeoutMs: number): Promise<Cookie> {
  const directory = mkdtempSync(join(tmpdir(), 'tsh-x11-'))
  const file = join(directory, 'xauthority')
  try {
    const seconds = timeoutMs === 0 ? 0 : Math.ceil((timeoutMs + slackMs) / 1000)
    const ask = ['generate', display.text, 'MIT-MAGIC-COOKIE-1', 'untrusted', 'timeout', String(seconds)]
    const trouble = await xauth(['-f', file, ...ask]).then(() => '', missing)
    const found = lastCookie(await xauth(['-f', file, 'list', display.text]).catch(missing))
    if (found !== undefined) return found
    throw new ConnectionProblem(
      `the X server ${display.text} gives no untrusted cookie${trouble === '' ? '' : ` (${trouble})`}; with -Y programs of the node get all rights on your display`,
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The complaint of an `xauth` that failed; throws when there is none to run. */
function missing(error: unknown): string {
  if (error instanceof NotFound) throw error
  return messageOf(error)
}

/** `host/unix:0  MIT-MAGIC-COOKIE-1  0123…`, of the last line that is one. */
export function lastCookie(listing: string): Cookie | undefined {
  for (const line of listing.split('\n').reverse()) {
    const [, protocol, data] = /^\S+\s+([A-Za-z0-9-]{1,64})\s+((?:[0-9a-fA-F]{2}){1,256})\s*$/.exec(line) ?? []
    if (protocol !== undefined && data !== undefined) return { protocol, data: Buffer.from(data, 'hex') }
  }
  return undefined
}

/** Its output. Cookies come back from it and never go in as arguments. */
function xauth(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: xauthMs, maxBuffer: 65_536, encoding: 'utf8' } as const
    const child = execFile('xauth', ['-q', ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else if (error.code === 'ENOENT')
        reject(new NotFound('there is no xauth on this machine; install the package xauth'))
      else reject(new ConnectionProblem(`xauth: ${printable(stderr.trim()) || 'failed'}`))
    })
    child.stdin?.end()
  })
}
