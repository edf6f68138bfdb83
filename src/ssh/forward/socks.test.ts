import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { duplexPipe } from '../testing/pipe.ts'
import { SocksParser, serveSocks } from './socks.ts'

const v4 = (name: string): Buffer =>
  Buffer.concat([Buffer.from([4, 1, 0, 80, 0, 0, 0, 1]), Buffer.from(`me\0${name}\0`)])
const v5 = (type: number, address: Buffer): Buffer =>
  Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, type]), address, Buffer.from([1, 187])])

describe('requests', () => {
  test.each([
    { name: 'version 4', bytes: Buffer.from([4, 1, 0, 80, 10, 1, 2, 3, 0]), host: '10.1.2.3', port: 80 },
    { name: 'version 4a', bytes: v4('node.example'), host: 'node.example', port: 80 },
    { name: 'version 5, IPv4', bytes: v5(1, Buffer.from([10, 1, 2, 3])), host: '10.1.2.3', port: 443 },
    { name: 'version 5, name', bytes: v5(3, Buffer.from('\x04node')), host: 'node', port: 443 },
    {
      name: 'version 5, IPv6',
      bytes: v5(4, Buffer.from('20010db8000000000000000000000001', 'hex')),
      host: '2001:db8:0:0:0:0:0:1',
      port: 443,
    },
  ])('$name, whole or byte by byte', ({ bytes, host, port }) => {
    const rest = Buffer.from('first bytes')
    expect(new SocksParser().push(Buffer.concat([bytes, rest]))).toMatchObject({ kind: 'connect', host, port, rest })
    const slow = new SocksParser()
    const steps = [...bytes].map((byte) => slow.push(Buffer.of(byte)))
    expect(steps.slice(0, -1).every(({ kind }) => kind === 'more')).toBe(true)
    expect(steps.at(-1)).toMatchObject({ kind: 'connect', host, port })
  })

  test.each([
    { name: 'another protocol', bytes: Buffer.from('GET / HTTP/1.1') },
    { name: 'version 4 BIND', bytes: Buffer.from([4, 2, 0, 80, 10, 1, 2, 3, 0]) },
    { name: 'version 5 without "no authentication"', bytes: Buffer.from([5, 1, 2]) },
    { name: 'version 5 UDP', bytes: Buffer.from([5, 1, 0, 5, 3, 0, 1, 1, 2, 3, 4, 0, 1]) },
    { name: 'version 5, unknown address type', bytes: Buffer.from([5, 1, 0, 5, 1, 0, 9, 1, 2]) },
    { name: 'version 5 inside version 4', bytes: Buffer.from([5, 1, 0, 4, 1, 0]) },
    {
      name: 'a user name without end',
      bytes: Buffer.concat([Buffer.from([4, 1, 0, 80, 1, 2, 3, 4]), Buffer.alloc(2000, 0x61)]),
    },
    { name: 'a host name with a space', bytes: v4('a b') },
    { name: 'an empty host name', bytes: v4('') },
  ])('$name is refused', ({ bytes }) => {
    expect(new SocksParser().push(bytes).kind).toBe('bad')
  })

  test('any bytes in any pieces: an answer, never a throw, never much memory', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
        fc.constantFrom(4, 5),
        (chunks, version) => {
          const parser = new SocksParser()
          let step = parser.push(Buffer.of(version))
          for (const chunk of chunks) {
            if (step.kind !== 'more') break
            step = parser.push(Buffer.from(chunk))
          }
          if (step.kind === 'connect') expect(step.host).toMatch(/^[!-~]{1,255}$/)
        },
      ),
    )
  })
})

describe('serving', () => {
  test('connects, answers, carries bytes sent early', async () => {
    const [client, inside] = duplexPipe()
    const [target, far] = duplexPipe()
    const served = serveSocks(inside, async (host, port) => {
      expect([host, port]).toEqual(['node', 443])
      return target
    })
    client.write(Buffer.concat([v5(3, Buffer.from('\x04node')), Buffer.from('early')]))
    expect(String(await new Promise((resolve) => far.once('data', resolve)))).toBe('early')
    far.end('bye')
    const chunks: Buffer[] = []
    client.on('data', (chunk: Buffer) => chunks.push(chunk))
    await new Promise((resolve) => client.once('end', resolve))
    client.end()
    await served
    const all = Buffer.concat(chunks)
    expect(all.subarray(0, 2)).toEqual(Buffer.from([5, 0]))
    expect(all.subarray(2, 4)).toEqual(Buffer.from([5, 0]))
    expect(all.subarray(-3).toString()).toBe('bye')
  })

  test('says that the target refused', async () => {
    const [client, inside] = duplexPipe()
    const served = serveSocks(inside, () => Promise.reject(new Error('no')))
    client.write(Buffer.from([4, 1, 0, 80, 10, 1, 2, 3, 0]))
    const answer = await new Promise<Buffer>((resolve) => client.once('data', resolve))
    expect(answer[1]).toBe(91)
    client.destroy()
    await served
  })
})
