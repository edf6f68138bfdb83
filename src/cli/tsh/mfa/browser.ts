/**
 * A ceremony in the user's browser: its page at the proxy asks for the security key and then leads the browser to a listener of this
 * program, on a loopback address, with the code that finishes it. The code alone is worth nothing: the secret that belongs to it
 * never leaves this program (docs/protocol.md).
 */

import { spawn } from 'node:child_process'
import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Callback, CeremonyProof, CeremonyStart } from '../../../api/mfa-model.ts'
import { realEnv } from '../../../common/env.ts'
import { AccessDenied, BadParameter, ConnectionProblem } from '../../../errors/errors.ts'
import { convertSystemError } from '../../../errors/system.ts'
import { printable } from '../../common/printable.ts'
import type { MfaSettings } from '../login-state.ts'

/** Milliseconds: the life of a ceremony. */
const patience = 300_000

/** `--bind-addr`: a loopback address, with or without a port. Throws BadParameter: whoever can reach it could finish a login. */
function parseBindAddress(text: string | undefined): {
  readonly host: '127.0.0.1' | '::1'
  readonly port: number
} {
  if (text === undefined || text === '') return { host: '127.0.0.1', port: 0 }
  const match = /^(?:\[?(::1)\]?|(127\.0\.0\.1|localhost))?(?::(\d{1,5}))?$/.exec(text)
  const port = Number(match?.[3] ?? 0)
  if (match === null || port > 65_535) {
    throw new BadParameter('--bind-addr', `--bind-addr: ${JSON.stringify(text)} is not 127.0.0.1:PORT or [::1]:PORT`)
  }
  return { host: match[1] === undefined ? '127.0.0.1' : '::1', port }
}

/** Runs one. `start` asks the cluster for it, with where the answer has to come back. */
export async function browserCeremony(
  settings: MfaSettings,
  start: (callback: Callback) => Promise<CeremonyStart>,
): Promise<CeremonyProof> {
  const listener = await listen(parseBindAddress(settings.bindAddress))
  try {
    const { id, secret, url, phrase } = await start(listener.callback)
    show(url, phrase, settings)
    const code = await listener.code
    return { id, secret, code }
  } finally {
    listener.close()
  }
}

function show(url: string, phrase: string, settings: MfaSettings): void {
  // What a server says is opened by no program unless it is what it has to be (C5).
  if (!/^https:\/\/[A-Za-z0-9.:[\]_-]+\/web\/mfa\/[0-9a-f]{32}$/.test(url)) {
    throw new ConnectionProblem('the proxy named a page that is none of its own')
  }
  const opened = settings.browser !== 'none' && openBrowser(url)
  const what = opened ? 'Your browser shows a page for your security key. If it does not, open' : 'Open in a browser'
  process.stderr.write(`${what}:\n\n  ${printable(url)}\n\nThe page shows: ${printable(phrase)}\n`)
}

/** Only where there is a desktop. */
function openBrowser(url: string): boolean {
  const { DISPLAY, WAYLAND_DISPLAY, BROWSER } = process.env
  if ([DISPLAY, WAYLAND_DISPLAY, BROWSER].every((value) => value === undefined || value === '')) return false
  const child = spawn('xdg-open', [url], { stdio: 'ignore', detached: true })
  child.on('error', () => undefined)
  child.unref()
  return true
}

interface Listener {
  readonly callback: Callback
  readonly code: Promise<string>
  close(): void
}

const answerPage = (title: string, text: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head><body><main><h1>${title}</h1><p>${text}</p></main></body></html>`

async function listen(bind: { readonly host: '127.0.0.1' | '::1'; readonly port: number }): Promise<Listener> {
  const state = realEnv.randomBytes(16).toString('hex')
  const { promise: code, resolve, reject } = Promise.withResolvers<string>()
  code.catch(() => undefined)
  const server = createServer({ maxHeaderSize: 8192 }, (request, response) => {
    const found = codeOf(request, state)
    // Anything else, of whomever, changes nothing.
    if (found === undefined) return send(response, 400, 'Not this page', 'Nothing was done.')
    send(response, 200, 'Done', 'You can close this page and go back to the terminal.')
    resolve(found)
  })
  server.maxConnections = 16
  server.headersTimeout = 5_000
  const port = await bound(server, bind)
  const timer = setTimeout(() => reject(new AccessDenied('nobody used a security key in time')), patience)
  return {
    callback: { host: bind.host, port, state },
    code,
    close() {
      clearTimeout(timer)
      server.close()
      server.closeIdleConnections()
    },
  }
}

function codeOf(request: IncomingMessage, state: string): string | undefined {
  if (request.method !== 'GET') return undefined
  let url: URL
  try {
    url = new URL(request.url ?? '', 'http://127.0.0.1')
  } catch {
    return undefined
  }
  const given = Buffer.from(url.searchParams.get('state') ?? '')
  const expected = Buffer.from(state)
  if (url.pathname !== '/callback' || given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return undefined
  }
  const code = url.searchParams.get('code') ?? ''
  return /^[0-9a-f]{32}$/.test(code) ? code : undefined
}

function send(response: ServerResponse, status: number, title: string, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    connection: 'close',
  })
  response.end(answerPage(title, text))
}

function bound(server: Server, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(convertSystemError(error, `listen on ${host}:${port} (--bind-addr)`)))
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}
