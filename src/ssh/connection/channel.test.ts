import { createHash, randomBytes } from 'node:crypto'
import { PassThrough, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import { spliceStreams } from '../forward/splice.ts'
import { muxPair, waitFor } from '../testing/mux-pair.ts'
import { duplexPipe } from '../testing/pipe.ts'
import type { SshChannel } from './channel.ts'

async function channels(options: Parameters<typeof muxPair>[0] = {}): Promise<{
  near: SshChannel
  far: SshChannel
  pair: ReturnType<typeof muxPair>
}> {
  const pair = muxPair(options)
  const near = await pair.client.open('test', Buffer.alloc(0))
  const far = pair.accepted[0]
  if (far === undefined) throw new Error('no channel')
  return { near, far, pair }
}

/** Not `for await`: that destroys the stream at the end, and with it the other direction. */
const collect = (stream: Readable): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => resolve(Buffer.concat(chunks)))
    stream.on('error', reject)
  })

const sha = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

describe('data', () => {
  test.each([
    { name: 'less than a packet', size: 10 },
    { name: 'several windows', size: 10_000_000 },
    { name: 'nothing', size: 0 },
  ])('arrives whole in both directions: $name', async ({ size }) => {
    const { near, far, pair } = await channels()
    const data = randomBytes(size)
    const echo = pipeline(far, far)
    const back = collect(near)
    near.end(data)
    expect(sha(await back)).toBe(sha(data))
    await echo
    await waitFor(() => pair.client.channelCount === 0 && pair.server.channelCount === 0)
  })

  test('a small window, small packets and a full transport keep the order', async () => {
    const { near, far } = await channels({ limits: { windowSize: 3000, maxPacketSize: 1024 }, highWaterMark: 2000 })
    const data = randomBytes(500_000)
    const back = collect(near)
    void pipeline(far, new PassThrough(), far)
    for (let at = 0; at < data.length; at += 777) near.write(data.subarray(at, at + 777))
    near.end()
    expect(sha(await back)).toBe(sha(data))
  })

  test('a consumer that does not read stops the producer at the window, and reading releases it', async () => {
    const { near, far } = await channels({ limits: { windowSize: 100_000 } })
    let written = 0
    const source = new Readable({
      read() {
        written += 10_000
        this.push(written > 5_000_000 ? null : Buffer.alloc(10_000))
      },
    })
    const done = pipeline(source, near)
    await waitFor(() => written > 300_000)
    await new Promise((resolve) => setImmediate(resolve))
    expect(written).toBeLessThan(100_000 + 2 * 256 * 1024 + 100_000)
    far.end()
    near.resume()
    expect((await collect(far)).length).toBe(5_000_000)
    await done
  })

  test('half close works in either direction', async () => {
    const { near, far } = await channels()
    near.end('question')
    expect((await collect(far)).toString()).toBe('question')
    far.end('answer')
    expect((await collect(near)).toString()).toBe('answer')
    await waitFor(() => near.closed && far.closed)
  })

  test('what was sent before CLOSE is read before the end', async () => {
    const { near, far } = await channels()
    far.write('last words')
    far.end()
    await waitFor(() => far.writableFinished)
    far.destroy()
    await waitFor(() => near.isClosed)
    expect((await collect(near)).toString()).toBe('last words')
    await waitFor(() => near.destroyed)
  })

  test('a producer learns that the reader is gone', async () => {
    const { near, far, pair } = await channels()
    const zeros = new Readable({
      read() {
        this.push(Buffer.alloc(65_536))
      },
    })
    const done = pipeline(zeros, near)
    near.resume()
    await waitFor(() => pair.transports.server.bytesIn > 500_000)
    far.destroy()
    await expect(done).rejects.toThrow()
    expect(near.signal.aborted).toBe(true)
  })

  test('the loss of the connection ends open channels with an error and frees them', async () => {
    const { near, far, pair } = await channels()
    const reading = collect(near)
    pair.transports.client.end(new Error('cable cut'))
    await expect(reading).rejects.toThrow('cable cut')
    expect(near.signal.aborted).toBe(true)
    expect(pair.client.channelCount).toBe(0)
    far.destroy()
  })
})

describe('splice', () => {
  test.each([
    { name: 'channel to channel', streams: 0 },
    { name: 'channel to stream', streams: 1 },
  ])('carries bytes and half close both ways: $name', async ({ streams }) => {
    const left = await channels({ limits: { windowSize: 50_000 }, highWaterMark: 20_000 })
    const right = await channels({ limits: { windowSize: 30_000 }, highWaterMark: 20_000 })
    let ends: Promise<unknown>
    if (streams === 0) {
      ends = spliceStreams(left.far, right.near)
    } else {
      const [one, other] = duplexPipe()
      ends = Promise.all([spliceStreams(left.far, one), spliceStreams(other, right.near)])
    }
    const up = randomBytes(2_000_000)
    const down = randomBytes(1_500_000)
    const upward = collect(right.far)
    const downward = collect(left.near)
    left.near.end(up)
    expect(sha(await upward)).toBe(sha(up))
    right.far.end(down)
    expect(sha(await downward)).toBe(sha(down))
    await ends
    await waitFor(() => left.pair.client.channelCount === 0 && right.pair.server.channelCount === 0)
  })

  test('bytes that arrived before the splice are not lost', async () => {
    const left = await channels()
    const right = await channels()
    left.near.write('early ')
    await waitFor(() => left.pair.transports.server.bytesIn > 30)
    left.far.once('readable', () => {})
    await new Promise((resolve) => setImmediate(resolve))
    void spliceStreams(left.far, right.near)
    left.near.end('late')
    expect((await collect(right.far)).toString()).toBe('early late')
  })

  test('when one side is lost the other is closed', async () => {
    const left = await channels()
    const right = await channels()
    const result = spliceStreams(left.far, right.near)
    right.pair.transports.client.end(new Error('node died'))
    expect((await result).error?.message).toBe('node died')
    await waitFor(() => left.near.isClosed)
  })

  test('a slow receiver does not make the middle buffer without end', async () => {
    const left = await channels({ limits: { windowSize: 100_000 } })
    const right = await channels({ limits: { windowSize: 100_000 } })
    void spliceStreams(left.far, right.near)
    let produced = 0
    const source = new Readable({
      read() {
        produced += 1000
        this.push(produced > 3_000_000 ? null : Buffer.alloc(1000))
      },
    })
    const sending = pipeline(source, left.near)
    await waitFor(() => produced > 400_000)
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(produced).toBeLessThan(1_200_000)
    const sink = new Writable({ write: (_chunk, _encoding, done) => setImmediate(done) })
    const receiving = pipeline(right.far, sink)
    right.far.end()
    await Promise.all([sending, receiving])
  })
})
