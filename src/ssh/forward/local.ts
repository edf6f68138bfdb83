/** `ssh -L` and `ssh -D` on the client's side: a local listener whose connections continue through the SSH connection. */

import type { Duplex } from 'node:stream'
import { type ForwardListener, type ListenAt, listenForward } from './listen.ts'
import { serveSocks } from './socks.ts'
import { spliceStreams } from './splice.ts'

/** Each accepted connection continues in what `open` gives, for example `client.openDirectTcpip(host, port)`. */
export function forwardLocal(
  at: ListenAt,
  open: () => Promise<Duplex>,
  onError?: (message: string) => void,
): Promise<ForwardListener> {
  return listenForward(at, {
    onConnection: async (socket) => {
      await spliceStreams(socket, await open())
    },
    ...(onError === undefined ? {} : { onError }),
  })
}

/** A SOCKS proxy (4, 4a, 5); `open` connects to where its client wants to go. */
export function forwardDynamic(
  at: ListenAt,
  open: (host: string, port: number) => Promise<Duplex>,
  onError?: (message: string) => void,
): Promise<ForwardListener> {
  return listenForward(at, {
    onConnection: (socket) => serveSocks(socket, open),
    ...(onError === undefined ? {} : { onError }),
  })
}
