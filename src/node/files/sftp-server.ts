/**
 * The SFTP server: reads requests from one descriptor and writes replies to another, until the input ends. One session, one user,
 * one thread, no event loop: a blocking read takes as many requests as there are, and their replies leave in one write. File data
 * goes between the kernel and the two buffers here without another copy. Memory does not depend on what the client does: while
 * replies cannot leave, no request is read.
 */

import { readSync, writeSync } from 'node:fs'
import {
  decodeInit,
  decodeRequest,
  encodeInit,
  encodeReply,
  extensionName,
  maxHandle,
  maxPacket,
  maxTransfer,
  packetHead,
  packetType,
  sftpVersion,
  statusCode,
  statusReply,
} from '../../ssh/sftp/messages.ts'
import { WireError } from '../../ssh/wire/reader.ts'
import { StatusError, statusOf } from './file-status.ts'
import { perform, type Surroundings } from './operations.ts'

/** Room for a few of the largest packets. */
const inputSize = 1024 * 1024
const outputSize = 1024 * 1024
/** More than this leaves although there is more to do, so that the network is busy meanwhile. */
const flushAt = 256 * 1024
/** Length, type, id, length of the data. */
const dataHeader = 13

const versions: Readonly<Record<keyof typeof extensionName, string>> = {
  posixRename: '1',
  statvfs: '2',
  fstatvfs: '2',
  hardlink: '1',
  fsync: '1',
  lsetstat: '1',
  limits: '1',
  expandPath: '1',
  copyData: '1',
  homeDirectory: '1',
  usersGroupsById: '1',
}

export class SftpServer {
  readonly #around: Surroundings
  readonly #inputFd: number
  readonly #outputFd: number
  readonly #input = Buffer.allocUnsafeSlow(inputSize)
  readonly #output = Buffer.allocUnsafeSlow(outputSize)
  #outputUsed = 0
  #greeted = false

  constructor(inputFd: number, outputFd: number, around: Surroundings) {
    this.#inputFd = inputFd
    this.#outputFd = outputFd
    this.#around = around
  }

  /** Returns when the client has closed its end. Throws WireError for what is no SFTP. */
  run(): void {
    const input = this.#input
    let filled = 0
    for (;;) {
      const got = readSync(this.#inputFd, input, filled, inputSize - filled, null)
      if (got === 0) return
      filled += got
      const used = this.#serveAll(filled)
      this.#flush()
      input.copyWithin(0, used, filled)
      filled -= used
    }
  }

  /** Serves the packets that are complete, and returns how many bytes they were. */
  #serveAll(filled: number): number {
    const input = this.#input
    let at = 0
    while (filled - at >= 4) {
      const length = input.readUInt32BE(at)
      if (length === 0 || length > maxPacket) {
        throw new WireError(`a packet of ${length} bytes, at most ${maxPacket} are allowed`)
      }
      const end = at + 4 + length
      if (end > filled) break
      this.#serve(input.subarray(at + 4, end))
      at = end
      if (this.#outputUsed >= flushAt) this.#flush()
    }
    return at
  }

  #serve(packet: Buffer): void {
    const type = packet[0]
    if (!this.#greeted || type === packetType.init) {
      this.#greet(packet)
      return
    }
    const { id } = packetHead(packet)
    try {
      if (type === packetType.read) this.#read(id, packet)
      else if (type === packetType.write) this.#write(id, packet)
      else {
        const request = decodeRequest(packet)
        if (request === undefined) this.#status(id, statusCode.unsupported)
        else if (request.type !== 'read' && request.type !== 'write') {
          this.#send(encodeReply(perform(request, this.#around)))
        }
      }
    } catch (error) {
      if (error instanceof WireError) throw error
      const { code, message } = statusOf(error)
      this.#status(id, code, message)
    }
  }

  #greet(packet: Buffer): void {
    if (decodeInit(packet).type !== 'init') throw new WireError('the first packet is not INIT')
    this.#greeted = true
    const extensions = Object.entries(versions).map(([key, version]) => ({
      name: extensionName[key as keyof typeof extensionName],
      data: Buffer.from(version),
    }))
    this.#send(encodeInit({ type: 'version', version: sftpVersion, extensions }))
  }

  /** READ: id, handle, offset (uint64), length (uint32). From the file straight into the output. */
  #read(id: number, packet: Buffer): void {
    const at = argumentsAt(packet, 12)
    const { fd } = this.#around.handles.file(packet.subarray(9, at))
    const size = Math.min(packet.readUInt32BE(at + 8), maxTransfer)
    const start = this.#reserve(dataHeader + size)
    const got = readSync(fd, this.#output, start + dataHeader, size, packet.readBigUInt64BE(at))
    if (got === 0) {
      this.#status(id, statusCode.eof)
      return
    }
    const output = this.#output
    output.writeUInt32BE(dataHeader - 4 + got, start)
    output.writeUInt8(packetType.data, start + 4)
    output.writeUInt32BE(id, start + 5)
    output.writeUInt32BE(got, start + 9)
    this.#outputUsed = start + dataHeader + got
  }

  /** WRITE: id, handle, offset (uint64), data. From the input straight into the file. */
  #write(id: number, packet: Buffer): void {
    const at = argumentsAt(packet, 12)
    const size = packet.readUInt32BE(at + 8)
    const data = at + 12
    if (size > packet.length - data) throw new WireError('truncated WRITE')
    const { fd, append } = this.#around.handles.file(packet.subarray(9, at))
    const offset = packet.readBigUInt64BE(at)
    // Node.js takes larger ones for "the current position".
    if (offset + BigInt(size) > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new StatusError(statusCode.failure, 'Failure: file too large')
    }
    let position = Number(offset)
    for (let done = 0; done < size; ) {
      const written = writeSync(fd, packet, data + done, size - done, append ? null : position)
      done += written
      position += written
    }
    this.#status(id, statusCode.ok)
  }

  #status(id: number, code: number, message?: string): void {
    this.#send(encodeReply(statusReply(id, code, message)))
  }

  #send(reply: Buffer): void {
    const start = this.#reserve(reply.length)
    reply.copy(this.#output, start)
    this.#outputUsed = start + reply.length
  }

  /** Where the next `size` bytes of output may stand. */
  #reserve(size: number): number {
    if (outputSize - this.#outputUsed < size) this.#flush()
    return this.#outputUsed
  }

  #flush(): void {
    for (let done = 0; done < this.#outputUsed; ) {
      done += writeSync(this.#outputFd, this.#output, done, this.#outputUsed - done)
    }
    this.#outputUsed = 0
  }
}

/** Where the arguments after the handle begin. Throws WireError when the handle or `size` bytes after it are not there. */
function argumentsAt(packet: Buffer, size: number): number {
  if (packet.length < 9) throw new WireError('truncated request')
  const length = packet.readUInt32BE(5)
  if (length > maxHandle || packet.length < 9 + length + size) throw new WireError('truncated request')
  return 9 + length
}
