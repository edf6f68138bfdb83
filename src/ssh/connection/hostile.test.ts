/** Peers that break the rules: every case costs bounded memory and at most its own connection. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ServerHandlers } from '../server-types.ts'
import { muxPair, waitFor } from '../testing/mux-pair.ts'
import {
  type RawConnection,
  rawConnection,
  rawData,
  rawGlobal,
  rawNumbers,
  rawOpen,
  rawRequest,
} from '../testing/raw-connection.ts'
import { WireWriter } from '../wire/writer.ts'
import { ConnectionMux } from './mux.ts'
import type { ServerSession } from './types.ts'

const settle = async (raw: RawConnection): Promise<void> => {
  let seen = -1
  while (seen !== raw.server.bytesIn + raw.peer.bytesIn) {
    seen = raw.server.bytesIn + raw.peer.bytesIn
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

const types = (raw: RawConnection): (number | undefined)[] => raw.received.map((payload) => payload[0])

const sessions: ServerSession[] = []

/** What is held counts, not what was thrown away and happens to be there still. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
}

const accepting: ServerHandlers<undefined> = {
  session: (session) => {
    sessions.push(session)
    session.accept()
  },
}

let rejections: unknown[] = []
const onRejection = (reason: unknown): void => {
  rejections.push(reason)
}
beforeEach(() => {
  rejections = []
  sessions.length = 0
  process.on('unhandledRejection', onRejection)
})
afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', onRejection)
  expect(rejections).toEqual([])
})

describe('packet and window arithmetic', () => {
  test.each([0, 1, 1023])('a channel with maximum packet %i is refused', async (maxPacket) => {
    const raw = rawConnection(accepting)
    raw.peer.send(rawOpen({ maxPacket }))
    await settle(raw)
    expect(types(raw)).toEqual([92])
    expect(raw.server.isClosed).toBe(false)
  })

  test('a server that confirms with maximum packet 0 fails that channel alone', async () => {
    const pair = muxPair({ onOpen: () => {} })
    const opening = pair.client.open('test', Buffer.alloc(0))
    pair.transports.server.send(rawNumbers(91, 0, 7, 1000, 0))
    await expect(opening).rejects.toThrow('packets of 0 bytes')
    // It closed the channel, which the other end in this test never had.
    await waitFor(() => pair.transports.server.isClosed)
    expect(pair.transports.server.disconnected?.message).toContain('CLOSE for channel 7')
  })

  test.each([
    { name: 'more data than the window', limits: { windowSize: 1000 }, payloads: [rawData(0, Buffer.alloc(1001))] },
    {
      name: 'more data than the window, in parts',
      limits: { windowSize: 1000 },
      payloads: [rawData(0, Buffer.alloc(600)), rawData(0, Buffer.alloc(600))],
    },
    {
      name: 'more extended data than the window',
      limits: { windowSize: 1000 },
      payloads: [new WireWriter().byte(95).uint32(0).uint32(1).string(Buffer.alloc(1001)).take()],
    },
    { name: 'a packet above the maximum', limits: {}, payloads: [rawData(0, Buffer.alloc(32_769))] },
    { name: 'a window beyond 2^32-1', limits: {}, payloads: [rawNumbers(93, 0, 0xffff_ffff)] },
    { name: 'a length that lies', limits: {}, payloads: [Buffer.concat([rawNumbers(94, 0, 100), Buffer.alloc(10)])] },
    { name: 'truncated data', limits: {}, payloads: [Buffer.from([94, 0, 0])] },
    { name: 'data after EOF', limits: {}, payloads: [rawNumbers(96, 0), rawData(0, Buffer.alloc(1))] },
    { name: 'data for a channel that is not open', limits: {}, payloads: [rawData(3, Buffer.alloc(1))] },
    { name: 'EOF for a channel that is not open', limits: {}, payloads: [rawNumbers(96, 3)] },
    { name: 'CLOSE for a channel that is not open', limits: {}, payloads: [rawNumbers(97, 3)] },
    { name: 'a request for a channel that is not open', limits: {}, payloads: [rawRequest(3, 'shell', true)] },
    { name: 'CLOSE twice', limits: {}, payloads: [rawNumbers(97, 0), rawNumbers(97, 0)] },
    { name: 'a confirmation nobody asked for', limits: {}, payloads: [rawNumbers(91, 0, 0, 1, 32_768)] },
    { name: 'a refusal nobody asked for', limits: {}, payloads: [rawNumbers(92, 9, 1, 0, 0)] },
    { name: 'a request name that is not ASCII', limits: {}, payloads: [rawRequest(0, 'sh\u00e9ll', true)] },
    {
      name: 'a session after no-more-sessions',
      limits: {},
      payloads: [rawGlobal('no-more-sessions@openssh.com', false), rawOpen({ id: 1 })],
    },
  ])('$name ends the connection', async ({ limits, payloads }) => {
    const raw = rawConnection(accepting, { limits })
    raw.peer.send(rawOpen())
    for (const payload of payloads) raw.peer.send(payload)
    await settle(raw)
    expect(raw.server.disconnected?.reason).toBe(2)
    expect(raw.connection.mux.channelCount).toBe(0)
  })

  test.each([
    { name: 'answers nobody waits for', payloads: [rawNumbers(99, 0), rawNumbers(100, 0), rawNumbers(99, 77)] },
    { name: 'global answers nobody waits for', payloads: [Buffer.from([81]), Buffer.from([82])] },
    { name: 'a window adjustment for a channel that is gone', payloads: [rawNumbers(93, 9, 1)] },
    { name: 'a message type nobody knows', payloads: [Buffer.from([101])] },
    { name: 'a global request nobody knows', payloads: [rawGlobal('x@example.com', true)] },
    { name: 'a session request nobody knows', payloads: [rawRequest(0, 'x@example.com', true)] },
    {
      name: 'extended data for a server',
      payloads: [new WireWriter().byte(95).uint32(0).uint32(1).string('x').take()],
    },
    { name: 'a malformed pty-req', payloads: [rawRequest(0, 'pty-req', true, Buffer.from([1, 2]))] },
    {
      name: 'a command with a zero byte',
      payloads: [rawRequest(0, 'exec', true, new WireWriter().string('a\0b').take())],
    },
  ])('$name does no harm', async ({ payloads }) => {
    const raw = rawConnection(accepting)
    raw.peer.send(rawOpen())
    for (const payload of payloads) raw.peer.send(payload)
    await settle(raw)
    expect(raw.server.isClosed).toBe(false)
    raw.peer.send(rawRequest(0, 'shell', true))
    await settle(raw)
    expect(types(raw).at(-1)).toBe(99)
  })
})

describe('floods', () => {
  test('10 sessions, 100 channels, no more', async () => {
    const raw = rawConnection({ ...accepting, directTcpip: () => new Promise(() => {}) })
    const where = new WireWriter().string('h').uint32(1).string('o').uint32(1).take()
    for (let id = 0; id < 50; id++) raw.peer.send(rawOpen({ id }))
    for (let id = 50; id < 300; id++) raw.peer.send(rawOpen({ id, type: 'direct-tcpip', extra: where }))
    await settle(raw)
    expect(types(raw).filter((type) => type === 91)).toHaveLength(10)
    expect(raw.connection.mux.channelCount).toBe(100)
    expect(types(raw).filter((type) => type === 92)).toHaveLength(40 + 160)
  })

  test('closing makes room again', async () => {
    const raw = rawConnection(accepting, { keep: false })
    for (let round = 0; round < 500; round++) {
      raw.peer.send(rawOpen())
      raw.peer.send(rawNumbers(97, round))
    }
    await settle(raw)
    expect(raw.server.isClosed).toBe(false)
    expect(raw.connection.mux.channelCount).toBe(0)
  })

  test.each([
    { name: 'refused channel types', payload: rawOpen({ type: 'nonsense@example.com' }) },
    { name: 'unknown global requests', payload: rawGlobal('nonsense@example.com', true) },
    { name: 'unknown channel requests', payload: rawRequest(0, 'nonsense@example.com', true) },
  ])('$name, a hundred thousand of them, are answered as long as the answers are read', async ({ payload }) => {
    const raw = rawConnection(accepting, { keep: false })
    raw.peer.send(rawOpen())
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    for (let round = 0; round < 100; round++) {
      for (let index = 0; index < 1000; index++) raw.peer.send(payload)
      await settle(raw)
    }
    expect(raw.server.isClosed).toBe(false)
    collectGarbage()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000)
  })

  test.each([
    { name: 'refused channel types', payload: rawOpen({ type: 'nonsense@example.com' }) },
    { name: 'unknown global requests', payload: rawGlobal('nonsense@example.com', true) },
    { name: 'unknown channel requests', payload: rawRequest(0, 'nonsense@example.com', true) },
  ])('$name without reading the answers end the connection', async ({ payload }) => {
    const raw = rawConnection(accepting, { reads: false })
    raw.peer.send(rawOpen())
    while (!raw.server.isClosed) {
      for (let index = 0; index < 1000; index++) raw.peer.send(payload)
      await settle(raw)
    }
    expect(raw.server.disconnected?.message).toContain('without reading the answers')
    expect(raw.server.bytesOut).toBeLessThan(4_000_000)
  })

  test('requests while an earlier one is undecided are bounded', async () => {
    const raw = rawConnection({ session: () => {} })
    raw.peer.send(rawOpen())
    for (let index = 0; index < 1100; index++) raw.peer.send(rawRequest(0, 'shell', true))
    await settle(raw)
    expect(raw.server.disconnected?.message).toContain('waiting for an answer')
  })

  test('global requests that take long are bounded', async () => {
    const raw = rawConnection({ tcpipForward: () => new Promise(() => {}) })
    const extra = new WireWriter().string('localhost').uint32(0).take()
    for (let index = 0; index < 1100; index++) raw.peer.send(rawGlobal('tcpip-forward', false, extra))
    await settle(raw)
    expect(raw.server.isClosed).toBe(true)
  })

  test('a window filled byte by byte costs little more than the window', async () => {
    const raw = rawConnection(accepting, { limits: { windowSize: 500_000 } })
    raw.peer.send(rawOpen())
    raw.peer.send(rawRequest(0, 'shell', false))
    for (let round = 0; round < 50; round++) {
      for (let index = 0; index < 10_000; index++) raw.peer.send(rawData(0, Buffer.of(1)))
      await settle(raw)
    }
    expect(raw.server.isClosed).toBe(false)
    const blocks: Buffer[] = []
    let bytes = 0
    sessions[0]?.channel.on('data', (block: Buffer) => {
      blocks.push(block)
      bytes += block.length
    })
    await waitFor(() => bytes === 500_000)
    // The memory behind the blocks, with the part of each that no byte came for.
    const held = [...new Set(blocks.map((block) => block.buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)
    expect(held).toBeLessThan(650_000)
    expect(blocks.length).toBeLessThan(50)
  })

  test('environment variables are bounded in number and size', async () => {
    const raw = rawConnection(accepting)
    raw.peer.send(rawOpen())
    for (let index = 0; index < 1000; index++) {
      raw.peer.send(rawRequest(0, 'env', false, new WireWriter().string(`V${index}`).string('x').take()))
    }
    raw.peer.send(rawRequest(0, 'env', false, new WireWriter().string('BIG').string('x'.repeat(60_000)).take()))
    raw.peer.send(rawRequest(0, 'shell', true))
    await settle(raw)
    expect(sessions[0]?.env.size).toBe(256)
  })
})

describe('what handlers get', () => {
  const pty = (term: string, columns: number, rows: number): Buffer =>
    new WireWriter().string(term).uint32(columns).uint32(rows).uint32(0).uint32(0xffff_ffff).string(Buffer.of(0)).take()

  test.each([
    { term: 'xterm', columns: 80, rows: 24, expected: { columns: 80, rows: 24 } },
    { term: 'xterm', columns: 0, rows: 0, expected: { columns: 80, rows: 24 } },
    { term: 'xterm', columns: 0xffff_ffff, rows: 0xffff_ffff, expected: { columns: 4096, rows: 4096 } },
    { term: 'x\x1b]0;evil\x07', columns: 80, rows: 24, expected: undefined },
    { term: 'x'.repeat(129), columns: 80, rows: 24, expected: undefined },
  ])('terminal $term $columns x $rows', async ({ term, columns, rows, expected }) => {
    const raw = rawConnection(accepting)
    raw.peer.send(rawOpen())
    raw.peer.send(rawRequest(0, 'pty-req', true, pty(term, columns, rows)))
    raw.peer.send(rawRequest(0, 'shell', true))
    await settle(raw)
    expect(types(raw)).toEqual([91, expected === undefined ? 100 : 99, 99])
    if (expected === undefined) expect(sessions[0]?.pty).toBeUndefined()
    else expect(sessions[0]?.pty).toMatchObject({ ...expected, heightPixels: 65_535 })
  })

  test('only known signals, only one start, no terminal after the start', async () => {
    const signals: string[] = []
    const raw = rawConnection({
      session: (session) => {
        session.onSignal = (name) => signals.push(name)
        session.accept()
      },
    })
    raw.peer.send(rawOpen())
    raw.peer.send(rawRequest(0, 'shell', true))
    raw.peer.send(rawRequest(0, 'exec', true, new WireWriter().string('id').take()))
    raw.peer.send(rawRequest(0, 'pty-req', true, pty('xterm', 1, 1)))
    for (const name of ['TERM', 'NOTHING', '../../x', '9']) {
      raw.peer.send(rawRequest(0, 'signal', true, new WireWriter().string(name).take()))
    }
    await settle(raw)
    expect(types(raw)).toEqual([91, 99, 100, 100, 99, 100, 100, 100])
    expect(signals).toEqual(['TERM'])
  })

  test.each([
    {
      name: 'throws',
      session: () => {
        throw new Error('bug')
      },
    },
    { name: 'rejects', session: () => Promise.reject(new Error('bug')) as never },
  ])('a session handler that $name closes its channel only', async ({ session }) => {
    const raw = rawConnection({ session })
    raw.peer.send(rawOpen())
    raw.peer.send(rawRequest(0, 'shell', true))
    await settle(raw)
    expect(types(raw)).toContain(97)
    expect(raw.server.isClosed).toBe(false)
  })

  test('errors of a dial tell nothing of the inside', async () => {
    const raw = rawConnection({ directTcpip: () => Promise.reject(new Error('secret path')) })
    const extra = new WireWriter().string('h').uint32(1).string('o').uint32(1).take()
    raw.peer.send(rawOpen({ type: 'direct-tcpip', extra }))
    await settle(raw)
    expect(raw.received[0]?.toString('latin1')).not.toContain('secret')
    expect(raw.received[0]?.readUInt32BE(5)).toBe(2)
  })

  test.each([
    { name: 'port beyond 65,535', extra: new WireWriter().string('h').uint32(70_000).string('o').uint32(1).take() },
    { name: 'host with a newline', extra: new WireWriter().string('h\nx').uint32(1).string('o').uint32(1).take() },
    { name: 'trailing bytes', extra: new WireWriter().string('h').uint32(1).string('o').uint32(1).byte(1).take() },
  ])('direct-tcpip with $name is refused and not dialled', async ({ extra }) => {
    let dialled = false
    const raw = rawConnection({
      directTcpip: () => {
        dialled = true
        return new Promise(() => {})
      },
    })
    raw.peer.send(rawOpen({ type: 'direct-tcpip', extra }))
    await settle(raw)
    expect(types(raw)).toEqual([92])
    expect(dialled).toBe(false)
  })

  test('without handlers everything is refused', async () => {
    const raw = rawConnection({})
    const address = new WireWriter().string('h').uint32(1).take()
    const extra = Buffer.concat([address, address])
    for (const type of ['session', 'x11', 'tun@openssh.com', 'auth-agent@openssh.com', 'forwarded-tcpip']) {
      raw.peer.send(rawOpen({ type }))
    }
    raw.peer.send(rawOpen({ type: 'direct-tcpip', extra }))
    raw.peer.send(rawGlobal('tcpip-forward', true, address))
    raw.peer.send(rawGlobal('streamlocal-forward@openssh.com', true, new WireWriter().string('/x').take()))
    await settle(raw)
    expect(types(raw)).toEqual([92, 92, 92, 92, 92, 92, 82, 82])
  })
})

describe('random messages', () => {
  const small = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom(0xffff_ffff, 0x8000_0000, 65_536))
  const name = fc.constantFrom(
    'session',
    'direct-tcpip',
    'shell',
    'exec',
    'env',
    'pty-req',
    'signal',
    'tcpip-forward',
    'x',
  )
  const message = fc.oneof(
    fc
      .tuple(fc.integer({ min: 80, max: 127 }), fc.uint8Array({ maxLength: 60 }))
      .map(([type, rest]) => Buffer.from([type, ...rest])),
    fc
      .tuple(fc.constantFrom(91, 93, 96, 97, 99, 100), fc.array(small, { maxLength: 4 }))
      .map(([type, numbers]) => rawNumbers(type, ...numbers)),
    fc
      .tuple(name, small, small, small)
      .map(([type, id, window, maxPacket]) => rawOpen({ type, id, window, maxPacket })),
    fc.tuple(small, fc.uint8Array({ maxLength: 100 })).map(([channel, data]) => rawData(channel, Buffer.from(data))),
    fc
      .tuple(small, name, fc.boolean(), fc.uint8Array({ maxLength: 40 }))
      .map(([channel, request, reply, extra]) => rawRequest(channel, request, reply, Buffer.from(extra))),
    fc
      .tuple(name, fc.boolean(), fc.uint8Array({ maxLength: 40 }))
      .map(([request, reply, extra]) => rawGlobal(request, reply, Buffer.from(extra))),
  )

  test('never throw out of the connection, as server', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 40 }), async (messages) => {
        const raw = rawConnection({
          ...accepting,
          tcpipForward: async () => 1,
          directTcpip: () => Promise.reject(new Error('x')),
        })
        for (const payload of messages) raw.peer.send(payload)
        await settle(raw)
        raw.peer.end(undefined)
        raw.server.end(undefined)
      }),
      { numRuns: 500 },
    )
  })

  test('never throw out of the connection, as client', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 40 }), async (messages) => {
        const pair = muxPair()
        expect(pair.client).toBeInstanceOf(ConnectionMux)
        const opening = pair.client
          .open('session', Buffer.alloc(0), { stderr: 'read', holdOpen: false })
          .catch(() => undefined)
        for (const payload of messages) pair.transports.server.send(payload)
        await waitFor(
          () => pair.transports.client.bytesIn > 0 || messages.length === 0 || pair.transports.client.isClosed,
        )
        pair.transports.client.end(undefined)
        await opening
      }),
      { numRuns: 500 },
    )
  })
})
