/** Where the X server of `$DISPLAY` is, as X clients read it. */

import { lstatSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { BadParameter } from '../../../errors/errors.ts'
import { convertSystemError } from '../../../errors/system.ts'

export interface Display {
  /** As it is written, for messages and for `xauth`. */
  readonly text: string
  readonly number: number
  readonly screen: number
  /** Undefined: this machine, through a unix socket. */
  readonly host: string | undefined
  /** `/path/to/socket:0`: a socket that is named itself. */
  readonly socket: string | undefined
}

const firstPort = 6000
const socketDirectory = '/tmp/.X11-unix'

/** `:0`, `unix:0.1`, `host:10.0`, `[::1]:10`, `/path/socket:0`. Throws BadParameter. */
export function parseDisplay(text: string): Display {
  const bad = () => new BadParameter('DISPLAY', `DISPLAY: ${JSON.stringify(text)} is not [host]:number[.screen]`)
  // As OpenSSH: it becomes an argument of xauth.
  if (!/^[A-Za-z0-9:/.\-_[\]%]{1,255}$/.test(text) || text.startsWith('-')) throw bad()
  const [, host = '', number = '', screen = '0'] = /^(.*):(\d{1,5})(?:\.(\d{1,3}))?$/.exec(text) ?? []
  if (number === '' || firstPort + Number(number) > 65_535 || Number(screen) > 255) throw bad()
  const where = { text, number: Number(number), screen: Number(screen) }
  if (host === '' || host === 'unix') return { ...where, host: undefined, socket: undefined }
  if (host.startsWith('/')) return { ...where, host: undefined, socket: host }
  const bare = host.replace(/^\[(.*)\]$/, '$1').replace(/^(?:tcp|inet6?)\//, '')
  if (bare === '' || bare.includes('/') || (host === bare && bare.includes(':'))) throw bad()
  return { ...where, host: bare, socket: undefined }
}

/** Connects to the X server. Throws a kind of `src/errors`. */
export async function connectDisplay(display: Display): Promise<Socket> {
  if (display.host !== undefined) {
    return await opened(
      createConnection({ host: display.host, port: firstPort + display.number, noDelay: true }),
      display,
    )
  }
  const path = display.socket ?? `${socketDirectory}/X${display.number}`
  // The file first: nobody but the X server may have made it, while names without a file belong to whoever comes first.
  const abstract = display.socket === undefined && lstatSync(path, { throwIfNoEntry: false }) === undefined
  return await opened(createConnection({ path: abstract ? `\0${path}` : path }), display)
}

function opened(socket: Socket, display: Display): Promise<Socket> {
  socket.allowHalfOpen = true
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => reject(convertSystemError(error, `connect to the X server ${display.text}`)))
    socket.once('connect', () => resolve(socket))
  })
}
