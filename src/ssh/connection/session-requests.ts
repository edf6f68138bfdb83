/**
 * The contents of session requests (RFC 4254 section 6), read and written. What comes from the peer is bounded and cleaned here:
 * terminal names end up in environments, sizes in ioctls, signal names in kill(2).
 */

import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import type { ExitResult, PtyRequest, SignalName, TerminalSize, X11Request } from './types.ts'

/** Signals a peer may ask for: those of RFC 4254 section 6.10, and the ones OpenSSH and shells use besides. */
export const signalNames: ReadonlySet<SignalName> = new Set([
  'ABRT',
  'ALRM',
  'FPE',
  'HUP',
  'ILL',
  'INT',
  'KILL',
  'PIPE',
  'QUIT',
  'SEGV',
  'TERM',
  'USR1',
  'USR2',
  'STOP',
  'CONT',
  'TSTP',
  'WINCH',
  'INFO@openssh.com',
])

const largestTerminal = 4096
const largestPixels = 65_535

/** Columns and rows 1 to 4,096; 0 (unknown) becomes 80 × 24. */
export function readTerminalSize(reader: WireReader): TerminalSize {
  const columns = reader.uint32()
  const rows = reader.uint32()
  const widthPixels = reader.uint32()
  const heightPixels = reader.uint32()
  return {
    columns: Math.min(columns === 0 ? 80 : columns, largestTerminal),
    rows: Math.min(rows === 0 ? 24 : rows, largestTerminal),
    widthPixels: Math.min(widthPixels, largestPixels),
    heightPixels: Math.min(heightPixels, largestPixels),
  }
}

export function writeTerminalSize(writer: WireWriter, size: TerminalSize): WireWriter {
  return writer.uint32(size.columns).uint32(size.rows).uint32(size.widthPixels).uint32(size.heightPixels)
}

/** Throws WireError for a terminal name that is long or has other than visible ASCII: it becomes `$TERM`. */
export function readPtyRequest(reader: WireReader): PtyRequest {
  const term = reader.ascii(128)
  if (term.includes(' ')) throw new WireError('terminal name with a space')
  const size = readTerminalSize(reader)
  const modes = parseTerminalModes(reader.string(4096))
  reader.end()
  return { term, ...size, modes }
}

export function encodePtyRequest(request: PtyRequest): Buffer {
  return writeTerminalSize(new WireWriter().string(request.term), request)
    .string(encodeTerminalModes(request.modes))
    .take()
}

/**
 * RFC 4254 section 8: opcodes 1 to 159 have one uint32 argument, 0 ends the list, 160 and above end it because their length is
 * unknown. A cut last argument ends it too: OpenSSH tolerates that.
 */
export function parseTerminalModes(encoded: Buffer): Map<number, number> {
  const modes = new Map<number, number>()
  const reader = new WireReader(encoded)
  while (reader.remaining >= 5) {
    const opcode = reader.byte()
    if (opcode === 0 || opcode >= 160) break
    modes.set(opcode, reader.uint32())
  }
  return modes
}

export function encodeTerminalModes(modes: ReadonlyMap<number, number>): Buffer {
  const writer = new WireWriter()
  for (const [opcode, value] of modes) if (opcode > 0 && opcode < 160) writer.byte(opcode).uint32(value)
  return writer.byte(0).take()
}

export function readX11Request(reader: WireReader): X11Request {
  const singleConnection = reader.boolean()
  const authProtocol = reader.ascii(256)
  const authCookie = reader.ascii(1024)
  const screenNumber = reader.uint32()
  reader.end()
  // They are given to xauth as arguments.
  if (!/^[A-Za-z0-9-]+$/.test(authProtocol) || !/^[0-9a-fA-F]*$/.test(authCookie)) {
    throw new WireError('malformed X11 authentication')
  }
  if (screenNumber > 255) throw new WireError('X11 screen number out of range')
  return { singleConnection, authProtocol, authCookie, screenNumber }
}

export function encodeX11Request(request: X11Request): Buffer {
  return new WireWriter()
    .boolean(request.singleConnection)
    .string(request.authProtocol)
    .string(request.authCookie)
    .uint32(request.screenNumber)
    .take()
}

/** Name of an environment variable and its value; undefined when no process could take it. */
export function readEnv(reader: WireReader): { readonly name: string; readonly value: string } | undefined {
  const name = reader.string(1024).toString('latin1')
  const value = reader.string(65_536).toString('utf8')
  reader.end()
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name) || value.includes('\0')) return undefined
  return { name, value }
}

export function encodeExit(result: ExitResult): { readonly name: string; readonly extra: Buffer } {
  if (result.kind === 'exit') {
    return { name: 'exit-status', extra: new WireWriter(4).uint32(result.status >>> 0).take() }
  }
  const extra = new WireWriter()
    .string(result.signal)
    .boolean(result.coreDumped)
    .string(result.message)
    .string('')
    .take()
  return { name: 'exit-signal', extra }
}

/** Reads `exit-status` or `exit-signal`; undefined for any other request. */
export function readExit(name: string, reader: WireReader): ExitResult | undefined {
  if (name === 'exit-status') return { kind: 'exit', status: reader.uint32() }
  if (name !== 'exit-signal') return undefined
  const signal = reader.ascii(128)
  const coreDumped = reader.boolean()
  const message = reader.string(65_536).subarray(0, 1024).toString('utf8')
  return { kind: 'signal', signal, coreDumped, message }
}
