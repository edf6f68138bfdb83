import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WireError, WireReader } from '../wire/reader.ts'
import {
  encodeDirectStreamlocal,
  encodeForward,
  encodeForwardedStreamlocal,
  encodeTcpip,
  readDirectStreamlocal,
  readForward,
  readForwardedStreamlocal,
  readStreamlocalForward,
  readTcpip,
  readX11Origin,
} from './forward-requests.ts'
import {
  encodeExit,
  encodePtyRequest,
  encodeX11Request,
  parseTerminalModes,
  readEnv,
  readExit,
  readPtyRequest,
  readTerminalSize,
  readX11Request,
} from './session-requests.ts'
import type { ExitResult } from './types.ts'

describe('what is written is read', () => {
  const host = fc.stringMatching(/^[a-z0-9.:-]{1,60}$/)
  const port = fc.integer({ min: 0, max: 65_535 })

  test('addresses', () => {
    fc.assert(
      fc.property(host, port, host, port, (name, number, originAddress, originPort) => {
        const addresses = { host: name, port: number, originAddress, originPort }
        expect(readTcpip(new WireReader(encodeTcpip(addresses)))).toEqual(addresses)
        expect(readForward(new WireReader(encodeForward(name, number)))).toEqual({ address: name, port: number })
        expect(readDirectStreamlocal(new WireReader(encodeDirectStreamlocal(name)))).toBe(name)
        expect(readForwardedStreamlocal(new WireReader(encodeForwardedStreamlocal(name)))).toBe(name)
      }),
    )
  })

  test('terminals', () => {
    const modes = new Map([
      [3, 127],
      [53, 1],
      [128, 38_400],
    ])
    const request = { term: 'xterm-256color', columns: 132, rows: 50, widthPixels: 640, heightPixels: 480, modes }
    expect(readPtyRequest(new WireReader(encodePtyRequest(request)))).toEqual(request)
  })

  test.each<ExitResult>([
    { kind: 'exit', status: 0 },
    { kind: 'exit', status: 255 },
    { kind: 'signal', signal: 'KILL', coreDumped: true, message: 'out of memory' },
  ])('exits: $kind', (result) => {
    const { name, extra } = encodeExit(result)
    expect(readExit(name, new WireReader(extra))).toEqual(result)
  })

  test('X11', () => {
    const request = { singleConnection: true, authProtocol: 'MIT-MAGIC-COOKIE-1', authCookie: 'ab12', screenNumber: 0 }
    expect(readX11Request(new WireReader(encodeX11Request(request)))).toEqual(request)
    expect(() => readX11Request(new WireReader(encodeX11Request({ ...request, authProtocol: '-q;id' })))).toThrow(
      WireError,
    )
  })
})

test.each([
  { name: 'empty', encoded: [], modes: [] },
  { name: 'ends at 0', encoded: [0, 3, 0, 0, 0, 1], modes: [] },
  { name: 'ends at an unknown kind', encoded: [160, 0, 0, 0, 1, 3, 0, 0, 0, 1], modes: [] },
  { name: 'cut in an argument', encoded: [3, 0, 0, 0, 1, 4, 0], modes: [[3, 1]] },
])('terminal modes: $name', ({ encoded, modes }) => {
  expect([...parseTerminalModes(Buffer.from(encoded))]).toEqual(modes)
})

test('any bytes are read or refused with a WireError', () => {
  const readers = [
    readTcpip,
    readForward,
    readDirectStreamlocal,
    readForwardedStreamlocal,
    readStreamlocalForward,
    readX11Origin,
    readPtyRequest,
    readTerminalSize,
    readX11Request,
    readEnv,
  ]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      for (const read of readers) {
        try {
          read(new WireReader(Buffer.from(bytes)))
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
      }
    }),
    { numRuns: 2000 },
  )
})
