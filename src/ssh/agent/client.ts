/** Talks to an SSH agent over a unix socket or any other stream, and makes signers of what it holds. */

import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { AccessDenied, BadParameter, ConnectionProblem, type KindError } from '../../errors/errors.ts'
import { convertSystemError, messageOf } from '../../errors/system.ts'
import { algorithmsOfKeyType } from '../keys/algorithms.ts'
import { signatureAlgorithmOf } from '../keys/signature.ts'
import type { PublicKey, SignatureAlgorithm, Signer } from '../keys/types.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { encodeAddIdentity } from './add-identity.ts'
import {
  agentMessage,
  frame,
  maxAgentMessageBytes,
  readIdentity,
  readMessages,
  sessionBindExtension,
  signFlags,
} from './messages.ts'
import type { AgentIdentity, NewIdentity } from './types.ts'

const maxWaiting = 1024
const maxIdentities = 2048

interface Waiting {
  resolve(answer: Buffer): void
  reject(reason: KindError): void
}

/** One connection. Requests may overlap; the agent answers in order. A broken agent fails every request with ConnectionProblem. */
export class AgentClient implements Disposable {
  readonly #stream: Duplex
  readonly #waiting: Waiting[] = []
  #failure: KindError | undefined

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('error', (error) => this.#fail(convertSystemError(error, 'talk to the SSH agent')))
    void this.#read()
  }

  /** Connects to the socket at `path`. Throws the kind of what went wrong, with the path in the message. */
  static async connect(path: string, signal?: AbortSignal): Promise<AgentClient> {
    const socket = connect({ path, ...(signal === undefined ? {} : { signal }) })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    socket.once('connect', resolve)
    socket.once('error', reject)
    try {
      await promise
    } catch (error) {
      throw convertSystemError(error, `reach the SSH agent at ${path}`)
    } finally {
      socket.off('connect', resolve)
      socket.off('error', reject)
    }
    return new AgentClient(socket)
  }

  /** What the agent holds. Entries of types that are not supported, or that do not parse, are left out. */
  async list(): Promise<AgentIdentity[]> {
    const reader = await this.#request(
      Buffer.of(agentMessage.requestIdentities),
      agentMessage.identitiesAnswer,
      'list its keys',
    )
    return this.#parse(() => {
      const count = reader.uint32()
      if (count > maxIdentities) throw new WireError(`${count} identities`)
      const identities: AgentIdentity[] = []
      for (let index = 0; index < count; index++) {
        const identity = tryIdentity(reader.string(), reader.string())
        if (identity !== undefined) identities.push(identity)
      }
      reader.end()
      return identities
    })
  }

  /**
   * A signature blob by the key named by `blob` (a key or a certificate). Throws AccessDenied when the agent refuses: the key is gone,
   * locked, or its owner said no.
   */
  async sign(blob: Buffer, data: Buffer, algorithm?: SignatureAlgorithm): Promise<Buffer> {
    const flags = (algorithm === undefined ? undefined : signFlags[algorithm]) ?? 0
    const message = new WireWriter(data.length + blob.length + 16)
      .byte(agentMessage.signRequest)
      .string(blob)
      .string(data)
      .uint32(flags)
    const reader = await this.#request(message.take(), agentMessage.signResponse, 'sign')
    return this.#parse(() => {
      const signature = reader.string()
      reader.end()
      return signature
    })
  }

  /** Hands a key over. Throws AccessDenied when the agent refuses. */
  async add(identity: NewIdentity): Promise<void> {
    await this.#request(encodeAddIdentity(identity), agentMessage.success, 'keep the key')
  }

  /** Makes the agent forget one entry. Throws AccessDenied when it has none such. */
  async remove(blob: Buffer): Promise<void> {
    const message = new WireWriter(blob.length + 8).byte(agentMessage.removeIdentity).string(blob)
    await this.#request(message.take(), agentMessage.success, 'remove the key')
  }

  async removeAll(): Promise<void> {
    await this.#request(Buffer.of(agentMessage.removeAllIdentities), agentMessage.success, 'remove its keys')
  }

  /**
   * Tells the agent which SSH connection this agent connection serves (`session-bind@openssh.com`), so that it can enforce destination
   * constraints. `signature` is the server's over the session identifier. Throws AccessDenied from agents that do not know it.
   */
  async bindSession(hostKey: Buffer, sessionId: Buffer, signature: Buffer, forwarding: boolean): Promise<void> {
    const message = new WireWriter(1024)
      .byte(agentMessage.extension)
      .string(sessionBindExtension)
      .string(hostKey)
      .string(sessionId)
      .string(signature)
      .boolean(forwarding)
    await this.#request(message.take(), agentMessage.success, 'bind the session')
  }

  close(): void {
    this.#fail(new ConnectionProblem('the connection to the SSH agent is closed'))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #request(message: Buffer, expected: number, doing: string): Promise<WireReader> {
    if (this.#failure !== undefined) throw this.#failure
    if (message.length > maxAgentMessageBytes) throw new BadParameter('data', 'too much data for an SSH agent')
    if (this.#waiting.length >= maxWaiting) throw new ConnectionProblem('the SSH agent does not answer')
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    this.#waiting.push({ resolve, reject })
    this.#stream.write(frame(message))
    const reader = new WireReader(await promise)
    const type = reader.byte()
    if (type === expected) return reader
    if (type === agentMessage.failure) throw new AccessDenied(`the SSH agent refused to ${doing}`)
    throw this.#fail(new ConnectionProblem(`the SSH agent gave an unexpected answer (${type})`))
  }

  async #read(): Promise<void> {
    try {
      for await (const message of readMessages(this.#stream)) {
        const next = this.#waiting.shift()
        if (next === undefined) throw new WireError('an answer without a question')
        next.resolve(message)
      }
      this.#fail(new ConnectionProblem('the SSH agent closed the connection'))
    } catch (error) {
      this.#fail(new ConnectionProblem(`the connection to the SSH agent broke: ${messageOf(error)}`, { cause: error }))
    }
  }

  #parse<T>(parse: () => T): T {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      throw this.#fail(
        new ConnectionProblem(`the SSH agent gave a malformed answer: ${error.message}`, { cause: error }),
      )
    }
  }

  /** The first failure counts: it explains the later ones. */
  #fail(failure: KindError): KindError {
    this.#failure ??= failure
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure)
    this.#stream.destroy()
    return this.#failure
  }
}

/** Something that signs with a key that stays in the agent. */
export function agentSigner(
  client: Pick<AgentClient, 'sign'>,
  identity: { readonly blob: Buffer; readonly publicKey: PublicKey },
): Signer {
  const { publicKey, blob } = identity
  const algorithms = algorithmsOfKeyType[publicKey.type]
  return {
    publicKey,
    algorithms,
    async sign(data, algorithm = algorithms[0]) {
      if (algorithm === undefined || !algorithms.includes(algorithm)) {
        throw new BadParameter('algorithm', `a key of type ${publicKey.type} cannot sign with ${algorithm}`)
      }
      const signature = await client.sign(blob, data, algorithm)
      // Old agents ignore the flags and sign RSA with SHA-1.
      if (!isSignatureOf(signature, algorithm)) throw new AccessDenied(`the SSH agent cannot sign with ${algorithm}`)
      return signature
    },
  }
}

function isSignatureOf(signature: Buffer, algorithm: SignatureAlgorithm): boolean {
  try {
    return signatureAlgorithmOf(signature) === algorithm
  } catch (error) {
    if (error instanceof WireError) return false
    throw error
  }
}

function tryIdentity(blob: Buffer, comment: Buffer): AgentIdentity | undefined {
  try {
    return readIdentity(blob, comment.toString('utf8'))
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
