/**
 * The WebSocket of one terminal. Output is confirmed when it was drawn, so that the proxy never sends more than the page can show;
 * what is typed or pasted goes in pieces, no faster than the network takes it.
 */

import { type TerminalNotice, type TerminalRequest, terminalLeft, terminalPath, terminalProtocol } from './protocol.ts'

export interface ConnectionOptions {
  readonly node: string
  readonly login: string
  readonly columns: number
  readonly rows: number
  readonly csrfToken: string
  /** A session to go on with, instead of a new one. */
  readonly attach?: string
  /** An open session to take part in; then the login does not matter. */
  readonly join?: { readonly sid: string; readonly mode: 'peer' | 'observer' | 'moderator' }
  /** `shown` is to be called when it was drawn. */
  onOutput(bytes: Uint8Array, shown: () => void): void
  onReady(): void
  /** What a later connection can `attach` to, for so many seconds after this one is lost. */
  onSession(sid: string, keepSeconds: number): void
  onLatency(ms: number): void
  /** Something that was asked for is not done. */
  onRefused?(message: string): void
  /** Once. Without a message: the connection was lost. */
  onEnd(message: string | undefined): void
}

/** Bytes. */
const piece = 16 * 1024
const maxUnsent = 256 * 1024
const confirmEvery = 64 * 1024
/** Milliseconds. */
const pingEvery = 5_000
/** Nothing heard for so long after a ping: the network has gone, though nobody says so. */
const silence = 15_000
/** Of the WebSocket: any but `terminalLeft`, so that the session is not taken leave of should the network be back. */
const lostCode = 4000

export class TerminalConnection {
  readonly #options: ConnectionOptions
  readonly #socket: WebSocket
  readonly #timer: ReturnType<typeof setInterval>
  #unconfirmed = 0
  #waiting: Uint8Array<ArrayBuffer>[] = []
  #pumping = false
  #ended = false
  #pings = 0
  #pingAt = 0
  #unansweredSince: number | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
    const { node, login, columns, rows, attach, join } = options
    const query = new URLSearchParams({ node, login, columns: String(columns), rows: String(rows) })
    if (attach !== undefined) query.set('attach', attach)
    if (join !== undefined) {
      query.set('join', join.sid)
      query.set('mode', join.mode)
    }
    this.#socket = new WebSocket(`wss://${location.host}${terminalPath}?${query}`, [
      terminalProtocol,
      `csrf.${options.csrfToken}`,
    ])
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.onmessage = ({ data }) => {
      this.#unansweredSince = undefined
      if (data instanceof ArrayBuffer) this.#output(new Uint8Array(data))
      else this.#notice(JSON.parse(String(data)) as TerminalNotice)
    }
    this.#socket.onclose = () => this.#end(undefined)
    this.#timer = setInterval(() => this.#ping(), pingEvery)
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < bytes.length; at += piece) this.#waiting.push(bytes.subarray(at, at + piece))
    void this.#pump()
  }

  resize(columns: number, rows: number): void {
    this.#send({ type: 'resize', columns, rows })
  }

  /** As the moderator of a session that was joined. */
  moderate(action: 'pause' | 'resume' | 'end'): void {
    this.#send({ type: 'moderate', action })
  }

  /** Takes leave: the session ends. */
  close(): void {
    this.#close(terminalLeft)
  }

  #close(code: number): void {
    this.#ended = true
    clearInterval(this.#timer)
    this.#waiting = []
    this.#socket.close(code)
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return
    this.#pumping = true
    while (this.#waiting.length > 0 && this.#socket.readyState <= WebSocket.OPEN) {
      if (this.#socket.readyState !== WebSocket.OPEN || this.#socket.bufferedAmount > maxUnsent) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        continue
      }
      const next = this.#waiting.shift()
      if (next !== undefined) this.#socket.send(next)
    }
    this.#pumping = false
  }

  #output(bytes: Uint8Array): void {
    this.#options.onOutput(bytes, () => {
      this.#unconfirmed += bytes.length
      if (this.#unconfirmed < confirmEvery) return
      this.#send({ type: 'shown', bytes: this.#unconfirmed })
      this.#unconfirmed = 0
    })
  }

  #notice(notice: TerminalNotice): void {
    switch (notice.type) {
      case 'ready':
        this.#options.onReady()
        this.#ping()
        return
      case 'session':
        this.#options.onSession(notice.sid, notice.keepSeconds)
        return
      case 'pong':
        if (notice.id === this.#pings) this.#options.onLatency(performance.now() - this.#pingAt)
        return
      case 'refused':
        this.#options.onRefused?.(notice.message)
        return
      case 'end':
        this.#end(notice.message)
    }
  }

  #ping(): void {
    const now = performance.now()
    this.#unansweredSince ??= now
    if (now - this.#unansweredSince > silence) {
      this.#end(undefined)
      return
    }
    this.#pingAt = now
    this.#send({ type: 'ping', id: ++this.#pings })
  }

  #send(request: TerminalRequest): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(request))
  }

  #end(message: string | undefined): void {
    if (this.#ended) return
    this.#close(message === undefined ? lostCode : terminalLeft)
    this.#options.onEnd(message)
  }
}
