/**
 * The WebSocket of a terminal: who may open one, and bytes both ways without a queue that grows. Output waits at the server that
 * makes it when the page is slow to show it; input waits in the page when the server is slow to read it.
 */

import type { IncomingMessage } from 'node:http'
import type { Writable } from 'node:stream'
import { type RawData, WebSocket, WebSocketServer } from 'ws'
import type { z } from 'zod'
import { joinLogin, partyMode } from '../../api/session-model.ts'
import {
  type TerminalNotice,
  type TerminalRequest,
  terminalLeft,
  terminalLost,
  terminalPath,
  terminalProtocol,
  terminalRequest,
  terminalWindow,
} from '../../api/web-app.ts'
import { AccessDenied, BadParameter } from '../../errors/errors.ts'
import { isCsrfTokenOf, isOwnOrigin, readCookie, sessionCookie } from './cookies.ts'

/** Bytes of one message: what is pasted comes in pieces of at most that. */
const maxMessage = 64 * 1024
/** Bytes of input that wait for the server before the page is not read any more. */
const maxInput = 256 * 1024
const tokenPrefix = 'csrf.'

/** Compression would keep state for each terminal, and tell by its lengths what is in it. */
export const pageSocketServer = (protocol: string): WebSocketServer =>
  new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessage,
    handleProtocols: () => protocol,
  })

/** What a terminal is asked for. */
export interface TerminalAsk {
  readonly token: string
  readonly node: string
  readonly login: string
  readonly columns: number
  readonly rows: number
  /** A session of the user's to go on with, instead of a new one. */
  readonly attach: string | undefined
  /** Takes part in an open session, which needs no login. */
  readonly join: JoinAsk | undefined
}

export interface JoinAsk {
  readonly sid: string
  readonly mode: PartyMode
}
type PartyMode = z.infer<typeof partyMode>

const uuidShape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const maxLogin = 256

/**
 * From the request that would become a WebSocket, before it does: undefined when it is for something else. Throws AccessDenied for a
 * foreign page, or one without session or token; BadParameter.
 */
export function readTerminalAsk(request: IncomingMessage): TerminalAsk | undefined {
  const url = URL.parse(request.url ?? '', 'https://proxy')
  if (url === null || url.pathname !== terminalPath || request.method !== 'GET') return undefined
  const token = checkPageSocket(request, terminalProtocol)
  const query = url.searchParams
  const join = readJoin(query)
  // Who joins logs in as nobody's account.
  if (join !== undefined) query.set('login', joinLogin)
  const { node, login } = readTarget(query)
  const attach = query.get('attach') ?? undefined
  if (attach !== undefined && !uuidShape.test(attach)) throw new BadParameter('attach', 'attach: expected a session')
  const [columns, rows] = [sizeOf(query.get('columns'), 80), sizeOf(query.get('rows'), 24)]
  return { token, node, login, columns, rows, attach, join }
}

/** Of a WebSocket that only our own page may open. Returns the session's token. Throws AccessDenied. */
export function checkPageSocket(request: IncomingMessage, protocol: string): string {
  if (!isOwnOrigin(request.headers)) {
    throw new AccessDenied('access denied: the request does not come from a page of this proxy')
  }
  const token = readCookie(request.headers.cookie, sessionCookie)
  const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
  const shown = protocols.find((name) => name.startsWith(tokenPrefix))?.slice(tokenPrefix.length)
  if (token === undefined || !protocols.includes(protocol) || !isCsrfTokenOf(token, shown)) {
    throw new AccessDenied('access denied: the request lacks the session or the token of this page; load it again')
  }
  return token
}

/** Throws BadParameter. */
export function readTarget(query: URLSearchParams): { readonly node: string; readonly login: string } {
  const node = query.get('node') ?? ''
  if (!uuidShape.test(node)) throw new BadParameter('node', 'node: expected the id of a server')
  const login = query.get('login') ?? ''
  if (login === '' || login.length > maxLogin) throw new BadParameter('login', 'login: expected an account')
  return { node, login }
}

function readJoin(query: URLSearchParams): JoinAsk | undefined {
  const sid = query.get('join')
  if (sid === null) return undefined
  if (!uuidShape.test(sid)) throw new BadParameter('join', 'join: expected the id of a session')
  const mode = partyMode.safeParse(query.get('mode')).data
  if (mode === undefined) throw new BadParameter('mode', 'mode: expected peer, observer or moderator')
  return { sid, mode }
}

function sizeOf(text: string | null, otherwise: number): number {
  const size = Number(text ?? otherwise)
  if (!Number.isInteger(size) || size < 1 || size > 1000) throw new BadParameter('columns', 'a size from 1 to 1000')
  return size
}

export type ModerateAction = Extract<TerminalRequest, { type: 'moderate' }>['action']

export interface TerminalEvents {
  resize(columns: number, rows: number): void
  /** Somebody typed. */
  used(): void
  moderate(action: ModerateAction): void
}

/** The page's side of a terminal. */
export class TerminalSocket {
  readonly #socket: WebSocket
  #unshown = 0
  #wake: (() => void) | undefined

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.binaryType = 'nodebuffer'
  }

  notify(notice: TerminalNotice): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(notice))
  }

  /** Reads from the page until it has gone. */
  listen(input: Writable, events: TerminalEvents): void {
    const socket = this.#socket
    socket.on('message', (data: RawData, isBinary) => {
      if (!Buffer.isBuffer(data)) return socket.terminate()
      if (isBinary) {
        events.used()
        if (!input.writable || input.write(data) || input.writableLength < maxInput) return
        socket.pause()
        input.once('drain', () => socket.resume())
        return
      }
      const request = readRequest(data)
      if (request === undefined) return socket.close(1008, 'not a message of a terminal')
      this.#serve(request, events)
    })
  }

  #serve(request: TerminalRequest, events: TerminalEvents): void {
    switch (request.type) {
      case 'resize':
        events.resize(request.columns, request.rows)
        return
      case 'shown':
        this.#unshown = Math.max(0, this.#unshown - request.bytes)
        this.#wake?.()
        return
      case 'moderate':
        events.used()
        events.moderate(request.action)
        return
      case 'ping':
        this.notify({ type: 'pong', id: request.id })
        return
    }
  }

  /**
   * Writes output at the pace at which the page shows it. Resolves at its end. `signal` aborts when the page has gone, which is a moment
   * after it has begun to close: until then output waits. To stop reading here would close the channel, and to the server a closed
   * channel is an owner who took leave, not one who reloads the page and will be back.
   */
  async show(output: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
    const wake = () => this.#wake?.()
    signal.addEventListener('abort', wake)
    try {
      for await (const chunk of output) {
        while (!signal.aborted && (this.#unshown >= terminalWindow || !this.#isOpen)) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        }
        if (signal.aborted) return
        this.#unshown += chunk.length
        this.#socket.send(chunk)
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  /** Says why, and closes. */
  end(message: string, status?: number): void {
    this.notify({ type: 'end', message, ...(status === undefined ? {} : { status }) })
    this.#socket.close(terminalLeft)
  }

  /** The session may still be there: the page comes back to it. */
  lose(): void {
    this.#socket.close(terminalLost)
  }
}

function readRequest(data: Buffer): TerminalRequest | undefined {
  try {
    return terminalRequest.safeParse(JSON.parse(data.toString('utf8'))).data
  } catch {
    return undefined
  }
}
