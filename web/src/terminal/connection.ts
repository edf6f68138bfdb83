/**
 * The WebSocket of one terminal. Output is confirmed when it was drawn, so that the proxy never sends more than the page can show;
 * what is typed or pasted goes in pieces, no faster than the network takes it.
 */

import { type TerminalNotice, type TerminalRequest, terminalPath, terminalProtocol } from './protocol.ts'

export interface ConnectionOptions {
  readonly node: string
  readonly login: string
  readonly columns: number
  readonly rows: number
  readonly csrfToken: string
  /** `shown` is to be called when it was drawn. */
  onOutput(bytes: Uint8Array, shown: () => void): void
  onReady(): void
  onLatency(ms: number): void
  /** Once. Without a message: the connection was lost. */
  onEnd(message: string | undefined): void
}

/** Bytes. */
const piece = 16 * 1024
const maxUnsent = 256 * 1024
const confirmEvery = 64 * 1024
/** Milliseconds. */
const pingEvery = 5_000

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

  constructor(options: ConnectionOptions) {
    this.#options = options
    const { node, login, columns, rows } = options
    const query = new URLSearchParams({ node, login, columns: String(columns), rows: String(rows) })
    this.#socket = new WebSocket(`wss://${location.host}${terminalPath}?${query}`, [
      terminalProtocol,
      `csrf.${options.csrfToken}`,
    ])
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.onmessage = ({ data }) => {
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

  close(): void {
    this.#ended = true
    clearInterval(this.#timer)
    this.#waiting = []
    this.#socket.close()
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
      case 'pong':
        if (notice.id === this.#pings) this.#options.onLatency(performance.now() - this.#pingAt)
        return
      case 'end':
        this.#end(notice.message)
    }
  }

  #ping(): void {
    this.#pingAt = performance.now()
    this.#send({ type: 'ping', id: ++this.#pings })
  }

  #send(request: TerminalRequest): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(request))
  }

  #end(message: string | undefined): void {
    if (this.#ended) return
    this.close()
    this.#options.onEnd(message)
  }
}
