/** KEXINIT: what each side offers, and what follows from both offers (RFC 4253 section 7.1, RFC 8308, OpenSSH strict kex). */

import { ConnectionProblem } from '../../errors/errors.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { isAead, isGcm, knownCiphers, knownKex, knownMacs } from './algorithms.ts'
import { Message } from './messages.ts'
import type { CipherAlgorithm, KexAlgorithm, MacAlgorithm, NegotiatedAlgorithms } from './types.ts'

export interface KexInit {
  readonly kex: readonly string[]
  readonly hostKeys: readonly string[]
  readonly ciphersToServer: readonly string[]
  readonly ciphersToClient: readonly string[]
  readonly macsToServer: readonly string[]
  readonly macsToClient: readonly string[]
  readonly compressionToServer: readonly string[]
  readonly compressionToClient: readonly string[]
  readonly firstKexPacketFollows: boolean
}

export const STRICT_CLIENT = 'kex-strict-c-v00@openssh.com'
export const STRICT_SERVER = 'kex-strict-s-v00@openssh.com'
export const EXT_INFO_CLIENT = 'ext-info-c'
export const EXT_INFO_SERVER = 'ext-info-s'

/** Longest KEXINIT we read, bytes. Real ones stay below 4 KiB. */
const MAX_KEXINIT = 32 * 1024
const MAX_NAMES = 256

/** The whole payload, message number included: it is part of the exchange hash. */
export function encodeKexInit(init: KexInit, cookie: Buffer): Buffer {
  return new WireWriter(1536)
    .byte(Message.KEXINIT)
    .bytes(cookie)
    .nameList(init.kex)
    .nameList(init.hostKeys)
    .nameList(init.ciphersToServer)
    .nameList(init.ciphersToClient)
    .nameList(init.macsToServer)
    .nameList(init.macsToClient)
    .nameList(init.compressionToServer)
    .nameList(init.compressionToClient)
    .nameList([])
    .nameList([])
    .boolean(init.firstKexPacketFollows)
    .uint32(0)
    .take()
}

/** Reads a KEXINIT payload. Throws WireError. */
export function parseKexInit(payload: Buffer): KexInit {
  if (payload.length > MAX_KEXINIT) throw new ConnectionProblem(`KEXINIT of ${payload.length} bytes`)
  const reader = new WireReader(payload)
  reader.byte()
  reader.bytes(16)
  const lists = Array.from({ length: 10 }, () => reader.nameList(MAX_NAMES))
  const firstKexPacketFollows = reader.boolean()
  reader.uint32()
  reader.end()
  const at = (index: number): string[] => lists[index] ?? []
  return {
    kex: at(0),
    hostKeys: at(1),
    ciphersToServer: at(2),
    ciphersToClient: at(3),
    macsToServer: at(4),
    macsToClient: at(5),
    compressionToServer: at(6),
    compressionToClient: at(7),
    firstKexPacketFollows,
  }
}

export interface Agreement {
  readonly kex: KexAlgorithm
  readonly hostKey: string
  readonly cipherToServer: CipherAlgorithm
  readonly cipherToClient: CipherAlgorithm
  readonly macToServer: MacAlgorithm | undefined
  readonly macToClient: MacAlgorithm | undefined
  /** Both sides preferred the same key exchange and host key algorithm, so a guessed first packet counts. */
  readonly guessRight: boolean
}

/** Throws ConnectionProblem that names both lists when there is nothing in common. */
export function agree(client: KexInit, server: KexInit): Agreement {
  const kex = pick('key exchange', client.kex.filter(isRealKex), server.kex, knownKex)
  const hostKey = first('host key', client.hostKeys, server.hostKeys)
  const cipherToServer = pick('cipher', client.ciphersToServer, server.ciphersToServer, knownCiphers)
  const cipherToClient = pick('cipher', client.ciphersToClient, server.ciphersToClient, knownCiphers)
  first('compression', client.compressionToServer, server.compressionToServer)
  first('compression', client.compressionToClient, server.compressionToClient)
  return {
    kex,
    hostKey,
    cipherToServer,
    cipherToClient,
    macToServer: isAead(cipherToServer) ? undefined : pick('MAC', client.macsToServer, server.macsToServer, knownMacs),
    macToClient: isAead(cipherToClient) ? undefined : pick('MAC', client.macsToClient, server.macsToClient, knownMacs),
    guessRight: client.kex[0] === server.kex[0] && client.hostKeys[0] === server.hostKeys[0],
  }
}

/** The pseudo algorithms of RFC 8308 and of strict kex are never chosen. */
const isRealKex = (name: string): boolean => !name.startsWith('ext-info-') && !name.startsWith('kex-strict-')

function first(what: string, client: readonly string[], server: readonly string[]): string {
  const found = client.find((name) => server.includes(name))
  if (found !== undefined) return found
  throw new ConnectionProblem(
    `no ${what} algorithm in common: the client offers ${client.join(', ') || 'none'}; the server offers ${server.join(', ') || 'none'}`,
  )
}

function pick<Name extends string>(
  what: string,
  client: readonly string[],
  server: readonly string[],
  known: readonly Name[],
): Name {
  const name = first(what, client, server)
  const found = known.find((candidate) => candidate === name)
  // One of the two lists is ours, so this cannot happen unless we offered what we do not have.
  if (found === undefined) throw new ConnectionProblem(`${what} algorithm ${name} is not implemented`)
  return found
}

export function negotiatedFor(role: 'client' | 'server', agreement: Agreement): NegotiatedAlgorithms {
  const toServer = { cipher: agreement.cipherToServer, mac: agreement.macToServer }
  const toClient = { cipher: agreement.cipherToClient, mac: agreement.macToClient }
  const [inbound, outbound] = role === 'client' ? [toClient, toServer] : [toServer, toClient]
  return {
    kex: agreement.kex,
    hostKey: agreement.hostKey,
    cipherIn: inbound.cipher,
    cipherOut: outbound.cipher,
    macIn: inbound.mac,
    macOut: outbound.mac,
  }
}

/**
 * The ciphers to offer to a client whose list we have seen. The client's order decides, and OpenSSH lists ChaCha20 (before
 * version 10 CTR too) ahead of GCM although GCM is several times faster on every machine with AES instructions; so only GCM is offered to
 * those who know it.
 */
export function steerToGcm(ours: readonly string[], theirs: readonly string[]): readonly string[] {
  const gcm = ours.filter((name) => isGcm(name) && theirs.includes(name))
  return gcm.length > 0 ? gcm : ours
}
