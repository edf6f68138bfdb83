import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { dial, isForbidden } from './dial.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function serve(handle: (socket: Socket) => void): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, (socket) => handle(socket.on('error', () => {})))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no address')
  return `127.0.0.1:${address.port}`
}

const never = new AbortController().signal
const to = (address: string, more: { signal?: AbortSignal; timeoutMs?: number; preamble?: string } = {}) =>
  dial({ address, name: 'node web', preamble: '', timeoutMs: 5000, signal: never, ...more })

const read = async (socket: Socket): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

describe('dialling a registered server', () => {
  test('gives the stream from its first byte, with a half close', async () => {
    let got = Promise.resolve('')
    const address = await serve((socket) => {
      socket.write('SSH-2.0-x\r\nmore')
      got = read(socket)
      socket.on('end', () => socket.end(' and the end'))
    })
    const socket = await to(address, { preamble: 'HELLO\r\n' })
    socket.end('client')
    expect(await read(socket)).toBe('SSH-2.0-x\r\nmore and the end')
    expect(await got).toBe('HELLO\r\nclient')
  })

  test('accepts a version string that comes byte by byte', async () => {
    const address = await serve((socket) => {
      const bytes = [...'SSH-2.0-slow\r\n']
      const next = () => {
        const byte = bytes.shift()
        if (byte === undefined) socket.end()
        else socket.write(byte, () => setImmediate(next))
      }
      next()
    })
    expect(await read(await to(address))).toBe('SSH-2.0-slow\r\n')
  })

  test.each([
    ['says something else', 'HTTP/1.1 400 Bad Request\r\n', /is not the SSH server of node web/],
    ['says something else after the first byte', 'S', /closed the connection/],
    ['closes', '', /closed the connection/],
  ])('a server that %s gets nothing of the client', async (_name, answer, message) => {
    const address = await serve((socket) => socket.end(answer))
    await expect(to(address)).rejects.toThrow(message)
  })

  test('a silent server is given up', async () => {
    const address = await serve(() => {})
    await expect(to(address, { timeoutMs: 50 })).rejects.toThrow(/node web at .* did not answer in time/)
  })

  test('a client that has gone ends it', async () => {
    const controller = new AbortController()
    const address = await serve(() => controller.abort())
    await expect(to(address, { signal: controller.signal })).rejects.toThrow(/client has gone/)
    await expect(to(address, { signal: controller.signal })).rejects.toThrow(/client has gone/)
  })

  test('a closed port says so', async () => {
    const address = await serve(() => {})
    servers.pop()?.close()
    await expect(to(address)).rejects.toThrow(`cannot connect to node web at ${address}: connection refused`)
  })

  test.each([
    '169.254.169.254:80',
    '0.0.0.0:22',
    '255.255.255.255:22',
    '224.0.0.1:22',
    '[fe80::1]:22',
    '[::]:22',
    '[::ffff:169.254.169.254]:80',
  ])('%s is never dialled', async (address) => {
    await expect(to(address)).rejects.toThrow(/does not connect to/)
  })

  test.each(['web', 'web:', 'a:b:c', ''])('%j is not an address', async (address) => {
    await expect(to(address)).rejects.toThrow(/is not host:port/)
  })

  test.each(['127.0.0.1', '10.0.0.1', '::1', 'fd00::1', '2001:db8::1', '::ffff:10.0.0.1'])(
    '%s may be dialled',
    (address) => expect(isForbidden(address)).toBe(false),
  )
})
