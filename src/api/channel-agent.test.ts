import { once } from 'node:events'
import http from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { ChannelAgent } from './channel-agent.ts'

test('a stream used for many requests gathers no listeners', async () => {
  const server = http.createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const streams: Duplex[] = []
  const agent = new ChannelAgent({
    maxStreams: 1,
    openStream: async () => {
      const socket = connect(address.port, '127.0.0.1')
      await once(socket, 'connect')
      streams.push(socket)
      return socket
    },
  })
  const counts: number[] = []
  for (let request = 0; request < 20; request++) {
    await new Promise<void>((resolve, reject) => {
      http
        .get({ agent, path: '/' }, (response) => response.resume().on('end', () => setImmediate(resolve)))
        .on('error', reject)
    })
    counts.push(streams[0]?.listenerCount('error') ?? 0)
  }
  expect(streams).toHaveLength(1)
  expect(counts.at(-1)).toBe(counts[0])
  agent.destroy()
  server.close()
})
