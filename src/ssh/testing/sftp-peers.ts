/** SFTP servers for tests of the client: OpenSSH's own on a pipe, and one that a test scripts. */

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type Duplex, duplexPair } from 'node:stream'
import { decodeRequest } from '../sftp/decode.ts'
import { encodeInit, encodeReply } from '../sftp/encode.ts'
import { PacketSplitter } from '../sftp/packets.ts'
import type { Extension, SftpReply, SftpRequest } from '../sftp/types.ts'

/** Debian's package openssh-sftp-server. */
export const opensshSftpServer = '/usr/lib/openssh/sftp-server'
export const hasOpensshSftpServer = existsSync(opensshSftpServer)

/** Its standard input and output, with `directory` as its home. */
export function startOpensshSftp(directory: string): Duplex {
  const child = spawn(opensshSftpServer, ['-e', '-d', directory], { stdio: ['pipe', 'pipe', 'ignore'] })
  const [near, far] = duplexPair()
  far.pipe(child.stdin)
  child.stdout.pipe(far)
  child.stdin.on('error', () => undefined)
  far.on('error', () => undefined)
  near.once('close', () => child.kill())
  return near
}

export interface Script {
  readonly version?: number
  readonly extensions?: readonly Extension[]
  /** What is sent for a request: replies, or bytes as they are. */
  answer(request: SftpRequest): readonly (SftpReply | Buffer)[]
}

/** The client's end of a stream whose other end answers as the script says. */
export function scriptedSftp(script: Script): Duplex {
  const [near, far] = duplexPair()
  const splitter = new PacketSplitter()
  let greeted = false
  far.on('error', () => undefined)
  far.on('data', (block: Buffer) => {
    for (const packet of splitter.push(block)) {
      if (!greeted) {
        greeted = true
        far.write(encodeInit({ type: 'version', version: script.version ?? 3, extensions: script.extensions ?? [] }))
        continue
      }
      const request = decodeRequest(packet)
      if (request === undefined) continue
      for (const reply of script.answer(request)) far.write(Buffer.isBuffer(reply) ? reply : encodeReply(reply))
    }
  })
  return near
}
