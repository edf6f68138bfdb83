/** Files on their way between this browser and a server, each over a WebSocket of its own: what is sent goes no faster than it is stored. */

import { useSyncExternalStore } from 'react'
import { currentToken } from '../api.ts'
import { words } from '../text/terminal.ts'
import { type FileNotice, filesPath, filesProtocol, terminalLeft } from './protocol.ts'

export interface Place {
  readonly node: string
  readonly hostname: string
  readonly login: string
}

export interface Transfer {
  readonly id: number
  readonly kind: 'upload' | 'download'
  readonly name: string
  readonly where: string
  readonly bytes: number
  /** Undefined: not known yet. */
  readonly size: number | undefined
  readonly state: 'running' | 'done' | 'failed' | 'exists' | 'cancelled'
  readonly message?: string
  /** While it runs. */
  cancel(): void
  /** After `exists`. */
  replace?(): void
}

/** Bytes. */
const piece = 64 * 1024
const maxUnsent = 1024 * 1024
/** What waits in the memory of the page before the browser is given it. */
const partSize = 8 * 1024 * 1024

let transfers: readonly Transfer[] = []
let lastId = 0
const listeners = new Set<() => void>()

function set(next: readonly Transfer[]): void {
  transfers = next
  for (const listener of listeners) listener()
}
const change = (id: number, changed: Partial<Transfer>): void =>
  set(transfers.map((one) => (one.id === id ? { ...one, ...changed } : one)))

export const forget = (id: number): void => set(transfers.filter((one) => one.id !== id))

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
export const useTransfers = (): readonly Transfer[] => useSyncExternalStore(subscribe, () => transfers)

const whereOf = ({ login, hostname }: Place): string => `${login}@${hostname}`

function open(query: Readonly<Record<string, string>>): WebSocket {
  const socket = new WebSocket(`wss://${location.host}${filesPath}?${new URLSearchParams(query)}`, [
    filesProtocol,
    `csrf.${currentToken()}`,
  ])
  socket.binaryType = 'arraybuffer'
  return socket
}

/** What the two directions have in common: the list, cancelling, the end. */
function follow(
  socket: WebSocket,
  transfer: Omit<Transfer, 'id' | 'bytes' | 'state' | 'cancel'>,
  on: {
    notice(id: number, notice: FileNotice): void
    data?(id: number, bytes: ArrayBuffer): void
    done(id: number): void
  },
): void {
  const id = ++lastId
  let ended = false
  const cancel = () => {
    ended = true
    socket.close(terminalLeft)
    change(id, { state: 'cancelled', message: words.nothingLeft[transfer.kind] })
  }
  set([...transfers, { ...transfer, id, bytes: 0, state: 'running', cancel }])
  socket.onmessage = ({ data }) => {
    // What was on its way when it was cancelled.
    if (ended) return
    if (data instanceof ArrayBuffer) {
      on.data?.(id, data)
      return
    }
    const notice = JSON.parse(String(data)) as FileNotice
    if (notice.type !== 'end') {
      on.notice(id, notice)
      return
    }
    ended = true
    if (notice.message === undefined) on.done(id)
    else change(id, { state: notice.exists === true ? 'exists' : 'failed', message: notice.message })
  }
  socket.onclose = () => {
    if (!ended) change(id, { state: 'failed', message: words.transferLost })
  }
}

export function upload(place: Place, directory: string, file: File, replace = false): void {
  const { node, login } = place
  const query = { action: 'put', node, login, directory, name: file.name, ...(replace ? { replace: '1' } : {}) }
  const socket = open(query)
  const again = () => upload(place, directory, file, true)
  const transfer = { kind: 'upload', name: file.name, where: whereOf(place), size: file.size, replace: again } as const
  follow(socket, transfer, {
    notice(id, notice) {
      if (notice.type === 'ready') void send(socket, file, id)
      if (notice.type === 'stored') change(id, { bytes: notice.bytes })
    },
    done: (id) => change(id, { state: 'done', bytes: file.size }),
  })
}

async function send(socket: WebSocket, file: File, id: number): Promise<void> {
  try {
    for (let at = 0; at < file.size; at += piece) {
      const data = await file.slice(at, at + piece).arrayBuffer()
      while (socket.bufferedAmount > maxUnsent) await new Promise((resolve) => setTimeout(resolve, 10))
      if (socket.readyState !== WebSocket.OPEN) return
      socket.send(data)
    }
    socket.send(JSON.stringify({ type: 'done', bytes: file.size }))
  } catch {
    // A directory, or a file that was changed or removed meanwhile.
    change(id, { state: 'failed', message: words.unreadable })
    socket.onclose = null
    socket.close(terminalLeft)
  }
}

export function download(place: Place, path: string): void {
  const { node, login } = place
  const socket = open({ action: 'get', node, login, path })
  const parts: Blob[] = []
  let waiting: ArrayBuffer[] = []
  let bytes = 0
  let inPart = 0
  let name = path
  follow(socket, { kind: 'download', name: path, where: whereOf(place), size: undefined } as const, {
    notice(id, notice) {
      if (notice.type !== 'ready') return
      name = safeName(notice.name ?? path)
      change(id, { size: notice.size, name })
    },
    data(id, data) {
      waiting.push(data)
      inPart += data.byteLength
      bytes += data.byteLength
      if (inPart >= partSize) {
        parts.push(new Blob(waiting))
        waiting = []
        inPart = 0
      }
      socket.send(JSON.stringify({ type: 'shown', bytes: data.byteLength }))
      change(id, { bytes })
    },
    done(id) {
      const link = document.createElement('a')
      link.href = URL.createObjectURL(new Blob([...parts, ...waiting], { type: 'application/octet-stream' }))
      link.download = name
      link.click()
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
      change(id, { state: 'done', bytes })
    },
  })
}

/** A server chooses its names: one name on one line, that hides nothing. */
export function safeName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? ''
  const plain = last
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
    .replace(/^\.+/, '')
    .slice(0, 200)
  return plain === '' ? 'file' : plain
}
