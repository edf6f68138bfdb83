/**
 * One key exchange after the other on one connection: who has sent which KEXINIT, the two messages of the method, NEWKEYS in
 * each direction. The transport gives it the messages that belong here and asks it what may be sent and received meanwhile.
 */

import { AccessDenied, ConnectionProblem } from '../../errors/errors.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { defaultHostKeyAlgorithms, type HostKeyChoice, hostKeyChoices } from './algorithms.ts'
import { createOpener, createSealer, type Opener, type Sealer } from './ciphers.ts'
import { deriveKeys, type ExchangeFacts, exchangeHash } from './derive.ts'
import { checkHostKey } from './host-key.ts'
import { type KexClient, type KexMethod, kexMethods } from './kex-methods.ts'
import {
  type Agreement,
  agree,
  EXT_INFO_CLIENT,
  EXT_INFO_SERVER,
  encodeKexInit,
  type KexInit,
  negotiatedFor,
  parseKexInit,
  STRICT_CLIENT,
  STRICT_SERVER,
  steerToGcm,
} from './kexinit.ts'
import { DisconnectReason, Message } from './messages.ts'
import { ProtocolProblem } from './problem.ts'
import type { AlgorithmPreferences, HostIdentities, NegotiatedAlgorithms, PresentedHostKey } from './types.ts'

const MAX_KEX_VALUE = 8192
const MAX_HOST_KEY = 64 * 1024
const MAX_SIGNATURE = 8192

/** What the exchange needs of the connection it runs on. */
export interface KexHost {
  readonly role: 'client' | 'server'
  clientVersion(): string
  serverVersion(): string
  randomBytes(size: number): Buffer
  sendKex(payload: Buffer): void
  /** Our NEWKEYS was sent: everything after it uses this. */
  sealWith(sealer: Sealer, strict: boolean): void
  /** The peer's NEWKEYS came. */
  openWith(opener: Opener, strict: boolean): void
  /** The host key is proven: the client's policy decides. Throws to refuse. Not asked when keys are renewed. */
  verifyHost(presented: PresentedHostKey): void | Promise<void>
  /** Our side may send ordinary messages again; first exchange: the moment for EXT_INFO. */
  outboundReady(first: boolean, peerWantsExtInfo: boolean): void
  finished(first: boolean): void
}

export interface KexSettings {
  readonly algorithms: AlgorithmPreferences
  /** Server: our ciphers may be narrowed to what is fastest for the client. False when the order was configured. */
  readonly steer: boolean
  readonly hostIdentities: HostIdentities
  readonly hostKeyAlgorithms?: readonly string[] | undefined
  /** Client: send the first message of our preferred method along with the first KEXINIT. */
  readonly guess: boolean
}

type Stage = 'idle' | 'negotiating' | 'exchanging' | 'newkeys'

export class KeyExchange {
  readonly #host: KexHost
  readonly #settings: KexSettings
  #choices: readonly HostKeyChoice[] = []
  #stage: Stage = 'idle'
  #ours: { readonly init: KexInit; readonly payload: Buffer } | undefined
  #theirs: { readonly init: KexInit; readonly payload: Buffer } | undefined
  #agreement: Agreement | undefined
  #guess: KexClient | undefined
  #client: KexClient | undefined
  #ignoreNext = false
  #open: Opener | undefined
  #lastTheirs: KexInit | undefined
  /** Whether ordinary messages have to wait: from our KEXINIT to our NEWKEYS. */
  outboundBlocked = false
  /** From the peer's KEXINIT to its NEWKEYS, where it may send nothing else. */
  inboundBlocked = false
  firstDone = false
  /** Both sides know strict kex (OpenSSH PROTOCOL 1.10); decided by the first KEXINITs. */
  strict = false
  peerWantsExtInfo = false
  sessionId: Buffer | undefined
  negotiated: NegotiatedAlgorithms | undefined
  hostKeyBlob: Buffer | undefined
  presented: PresentedHostKey | undefined

  constructor(host: KexHost, settings: KexSettings) {
    this.#host = host
    this.#settings = settings
    const { hostIdentities } = settings
    if (host.role === 'server' && typeof hostIdentities !== 'function') this.#choices = hostKeyChoices(hostIdentities)
  }

  /** Server, once the client's version is known and before anything else. */
  chooseHostKeys(): void {
    const { hostIdentities } = this.#settings
    if (typeof hostIdentities === 'function') this.#choices = hostKeyChoices(hostIdentities(this.#host.clientVersion()))
  }

  /** Our KEXINIT is out, or the peer's has come, and the exchange is not finished. */
  get running(): boolean {
    return this.#stage !== 'idle'
  }

  get sentInit(): boolean {
    return this.#ours !== undefined
  }

  /** Sends our KEXINIT; a client's first one with a guessed first packet, which saves a round trip towards servers like ours. */
  begin(): void {
    if (this.#ours !== undefined) return
    const guess = this.#settings.guess && this.#host.role === 'client' && !this.firstDone
    const init = this.#offer(guess)
    const payload = encodeKexInit(init, this.#host.randomBytes(16))
    this.#ours = { init, payload }
    this.#stage = 'negotiating'
    this.outboundBlocked = true
    this.#host.sendKex(payload)
    if (!guess) return
    const [kex] = this.#settings.algorithms.kex
    if (kex === undefined) return
    this.#guess = kexMethods[kex].client()
    this.#sendValue(kexMethods[kex], this.#guess.init)
  }

  #offer(guess: boolean): KexInit {
    const { kex, ciphers, macs } = this.#settings.algorithms
    const server = this.#host.role === 'server'
    const pseudo = this.firstDone ? [] : server ? [EXT_INFO_SERVER, STRICT_SERVER] : [EXT_INFO_CLIENT, STRICT_CLIENT]
    const theirs = this.#theirs?.init ?? this.#lastTheirs
    const steer = (list: readonly string[] | undefined): readonly string[] =>
      server && this.#settings.steer && list !== undefined ? steerToGcm(ciphers, list) : ciphers
    return {
      kex: [...kex, ...pseudo],
      hostKeys: server
        ? this.#choices.map((choice) => choice.name)
        : (this.#settings.hostKeyAlgorithms ?? defaultHostKeyAlgorithms),
      ciphersToServer: steer(theirs?.ciphersToServer),
      ciphersToClient: steer(theirs?.ciphersToClient),
      macsToServer: macs,
      macsToClient: macs,
      compressionToServer: ['none'],
      compressionToClient: ['none'],
      firstKexPacketFollows: guess,
    }
  }

  /**
   * Takes a message with a number from 20 to 49. A promise means that no further message may be looked at before it settled.
   * Throws ProtocolProblem, WireError and what `verifyHost` throws. `first` says that nothing was received before.
   */
  handle(payload: Buffer, firstPacket: boolean): void | Promise<void> {
    const type = payload[0]
    if (type === Message.KEXINIT) return this.#onKexInit(payload, firstPacket)
    if (type === Message.NEWKEYS) return this.#onNewKeys(payload)
    if (this.#stage !== 'exchanging' || this.#agreement === undefined) violation('key exchange message out of order')
    if (this.#ignoreNext) {
      this.#ignoreNext = false
      return
    }
    if (this.#host.role === 'server' && type === Message.KEX_INIT) return this.#onInit(payload, this.#agreement)
    if (this.#host.role === 'client' && type === Message.KEX_REPLY) return this.#onReply(payload, this.#agreement)
    violation('key exchange message out of order')
  }

  #onKexInit(payload: Buffer, firstPacket: boolean): void {
    if (this.#theirs !== undefined || this.#stage === 'newkeys') violation('KEXINIT during a key exchange')
    const init = parseKexInit(payload)
    this.#theirs = { init, payload }
    this.inboundBlocked = true
    const clientSide = this.#host.role === 'client'
    if (!this.firstDone) {
      this.strict = init.kex.includes(clientSide ? STRICT_SERVER : STRICT_CLIENT)
      this.peerWantsExtInfo = init.kex.includes(clientSide ? EXT_INFO_SERVER : EXT_INFO_CLIENT)
      if (this.strict && !firstPacket) violation('strict key exchange: KEXINIT must be the first message')
    }
    this.begin()
    const ours = this.#ours?.init
    if (ours === undefined) return
    let agreement: Agreement
    try {
      agreement = clientSide ? agree(ours, init) : agree(init, ours)
    } catch (error) {
      if (!(error instanceof ConnectionProblem)) throw error
      throw new ProtocolProblem(DisconnectReason.KEY_EXCHANGE_FAILED, error.message, { cause: error })
    }
    this.#agreement = agreement
    this.#stage = 'exchanging'
    this.#ignoreNext = init.firstKexPacketFollows && !agreement.guessRight
    if (!clientSide) return
    const method = kexMethods[agreement.kex]
    // The same method with another host key is a wrong guess as well: the message is sent again, the same key will do.
    const guess = agreement.kex === this.#settings.algorithms.kex[0] ? this.#guess : undefined
    this.#client = guess ?? method.client()
    if (guess === undefined || !agreement.guessRight) this.#sendValue(method, this.#client.init)
    this.#guess = undefined
  }

  #sendValue(method: KexMethod, value: Buffer): void {
    const writer = new WireWriter(value.length + 8).byte(Message.KEX_INIT)
    this.#host.sendKex((method.mpintValues ? writer.mpint(value) : writer.string(value)).take())
  }

  async #onInit(payload: Buffer, agreement: Agreement): Promise<void> {
    const method = kexMethods[agreement.kex]
    const reader = new WireReader(payload, 1)
    const clientValue = method.mpintValues ? reader.mpint(MAX_KEX_VALUE) : reader.string(MAX_KEX_VALUE)
    reader.end()
    const choice = this.#choices.find((candidate) => candidate.name === agreement.hostKey)
    if (choice === undefined) violation('host key algorithm that was not offered')
    // One init per exchange: the stage changes before anything else can be read.
    this.#stage = 'newkeys'
    const { reply, secret } = withReason(() => method.server(clientValue))
    const facts = this.#facts(choice.blob, clientValue, reply, secret)
    const hash = exchangeHash(method, facts)
    const signature = await choice.identity.signer.sign(hash, choice.algorithm.signature)
    const writer = new WireWriter(4096).byte(Message.KEX_REPLY).string(choice.blob)
    this.hostKeyBlob = choice.blob
    this.#host.sendKex((method.mpintValues ? writer.mpint(reply) : writer.string(reply)).string(signature).take())
    this.#switchKeys(method, agreement, facts, hash)
  }

  async #onReply(payload: Buffer, agreement: Agreement): Promise<void> {
    const method = kexMethods[agreement.kex]
    const client = this.#client
    if (client === undefined) violation('key exchange message out of order')
    this.#client = undefined
    const reader = new WireReader(payload, 1)
    const blob = Buffer.from(reader.string(MAX_HOST_KEY))
    const serverValue = method.mpintValues ? reader.mpint(MAX_KEX_VALUE) : reader.string(MAX_KEX_VALUE)
    const signature = reader.string(MAX_SIGNATURE)
    reader.end()
    this.#stage = 'newkeys'
    const secret = withReason(() => client.finish(serverValue))
    const facts = this.#facts(blob, client.init, serverValue, secret)
    const hash = exchangeHash(method, facts)
    const presented = checkHostKey(agreement.hostKey, blob, signature, hash)
    if (this.hostKeyBlob === undefined) {
      await this.#host.verifyHost(presented)
      this.hostKeyBlob = blob
      this.presented = presented
    } else if (!this.hostKeyBlob.equals(blob)) {
      throw new AccessDenied('the server changed its host key in the middle of the connection')
    }
    this.#switchKeys(method, agreement, facts, hash)
  }

  #facts(hostKeyBlob: Buffer, clientValue: Buffer, serverValue: Buffer, secret: Buffer): ExchangeFacts {
    const [ours, theirs] = [this.#ours?.payload, this.#theirs?.payload]
    if (ours === undefined || theirs === undefined) violation('key exchange message out of order')
    const client = this.#host.role === 'client'
    return {
      clientVersion: this.#host.clientVersion(),
      serverVersion: this.#host.serverVersion(),
      clientKexInit: client ? ours : theirs,
      serverKexInit: client ? theirs : ours,
      hostKeyBlob,
      clientValue,
      serverValue,
      secret,
    }
  }

  #switchKeys(method: KexMethod, agreement: Agreement, facts: ExchangeFacts, hash: Buffer): void {
    const sessionId = this.sessionId ?? hash
    this.sessionId = sessionId
    const client = this.#host.role === 'client'
    const negotiated = negotiatedFor(this.#host.role, agreement)
    this.negotiated = negotiated
    const keys = (toServer: boolean): ReturnType<typeof deriveKeys> =>
      deriveKeys(
        method,
        facts.secret,
        hash,
        sessionId,
        toServer ? 'toServer' : 'toClient',
        toServer ? agreement.cipherToServer : agreement.cipherToClient,
        toServer ? agreement.macToServer : agreement.macToClient,
      )
    this.#open = createOpener(negotiated.cipherIn, negotiated.macIn, keys(!client))
    this.#host.sendKex(Buffer.from([Message.NEWKEYS]))
    this.#host.sealWith(createSealer(negotiated.cipherOut, negotiated.macOut, keys(client)), this.strict)
    this.outboundBlocked = false
    this.#host.outboundReady(!this.firstDone, this.peerWantsExtInfo)
  }

  #onNewKeys(payload: Buffer): void {
    const opener = this.#open
    if (this.#stage !== 'newkeys' || opener === undefined || payload.length !== 1) violation('NEWKEYS out of order')
    const first = !this.firstDone
    this.#lastTheirs = this.#theirs?.init
    this.#stage = 'idle'
    this.#ours = undefined
    this.#theirs = undefined
    this.#agreement = undefined
    this.#open = undefined
    this.inboundBlocked = false
    this.firstDone = true
    this.#host.openWith(opener, this.strict)
    this.#host.finished(first)
  }
}

function violation(message: string): never {
  throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, message)
}

function withReason<T>(compute: () => T): T {
  try {
    return compute()
  } catch (error) {
    if (!(error instanceof ConnectionProblem)) throw error
    throw new ProtocolProblem(DisconnectReason.KEY_EXCHANGE_FAILED, error.message, { cause: error })
  }
}
