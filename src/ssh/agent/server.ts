/** Serves the agent protocol over a stream: a connection to a unix socket, or a forwarded-agent channel. */

import type { Duplex } from 'node:stream'
import { type Logger, silentLogger } from '../../common/log.ts'
import { KindError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { signatureAlgorithmOf, verifySignature } from '../keys/signature.ts'
import type { SignatureAlgorithm } from '../keys/types.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { decodeAddIdentity } from './add-identity.ts'
import {
  agentMessage,
  frame,
  maxAgentMessageBytes,
  readIdentity,
  readMessages,
  sessionBindExtension,
} from './messages.ts'
import type { AgentBackend } from './types.ts'

const failure = Buffer.of(agentMessage.failure)
const success = Buffer.of(agentMessage.success)

/**
 * Answers until the peer ends the stream or sends something that is not the protocol; then closes the stream. One request at a time: the
 * next is read when the answer is written, so a peer that does not read cannot make us keep anything. Never rejects.
 */
export async function serveAgent(stream: Duplex, backend: AgentBackend, logger: Logger = silentLogger): Promise<void> {
  stream.on('error', () => {}) // the reading loop below sees it too
  try {
    for await (const message of readMessages(stream)) {
      const response = await answer(message, backend, logger)
      if (!stream.write(frame(response.length > maxAgentMessageBytes ? failure : response))) await drained(stream)
    }
    stream.end()
  } catch {
    stream.destroy()
  }
}

/** A request that is malformed, unknown, or refused by the backend gets FAILURE, without a reason: the protocol has none. */
async function answer(message: Buffer, backend: AgentBackend, logger: Logger): Promise<Buffer> {
  try {
    return await dispatch(new WireReader(message), backend)
  } catch (error) {
    if (!(error instanceof WireError || error instanceof KindError)) {
      logger.error('the backend of an SSH agent failed', { error: messageOf(error) })
    }
    return failure
  }
}

async function dispatch(reader: WireReader, backend: AgentBackend): Promise<Buffer> {
  const type = reader.byte()
  switch (type) {
    case agentMessage.requestIdentities:
      return await list(backend)
    case agentMessage.signRequest:
      return await sign(reader, backend)
    case agentMessage.addIdentity:
    case agentMessage.addIdentityConstrained:
      if (backend.add === undefined) return failure
      await backend.add(decodeAddIdentity(reader, type === agentMessage.addIdentityConstrained))
      return success
    case agentMessage.removeIdentity: {
      if (backend.remove === undefined) return failure
      const blob = reader.string()
      reader.end()
      await backend.remove(blob)
      return success
    }
    case agentMessage.removeAllIdentities:
      if (backend.removeAll === undefined) return failure
      await backend.removeAll()
      return success
    case agentMessage.extension:
      return reader.ascii() === sessionBindExtension ? bindSession(reader) : failure
    default:
      return failure
  }
}

async function list(backend: AgentBackend): Promise<Buffer> {
  const identities = await backend.list()
  const writer = new WireWriter(1024).byte(agentMessage.identitiesAnswer).uint32(identities.length)
  for (const { blob, comment } of identities) writer.string(blob).string(comment)
  return writer.take()
}

async function sign(reader: WireReader, backend: AgentBackend): Promise<Buffer> {
  const identity = readIdentity(reader.string(), '')
  const data = reader.string()
  const flags = reader.uint32()
  reader.end()
  if (identity === undefined) return failure
  const isRsa = identity.publicKey.type === 'ssh-rsa'
  const algorithm = isRsa ? rsaAlgorithm(flags) : undefined
  if (isRsa && algorithm === undefined) return failure
  const signature = await backend.sign(identity.blob, data, algorithm)
  return new WireWriter(signature.length + 8).byte(agentMessage.signResponse).string(signature).take()
}

/** Without a flag the client asks for SHA-1, which nobody gets. */
function rsaAlgorithm(flags: number): SignatureAlgorithm | undefined {
  if ((flags & 4) !== 0) return 'rsa-sha2-512'
  return (flags & 2) !== 0 ? 'rsa-sha2-256' : undefined
}

/**
 * OpenSSH's `ssh` sends this before it uses or forwards an agent. We keep no keys with destination constraints, so a binding changes
 * nothing; it is accepted when it is true (the host key did sign the session identifier) and refused otherwise.
 */
function bindSession(reader: WireReader): Buffer {
  const host = readIdentity(reader.string(), '')
  const sessionId = reader.string(1024)
  const signature = reader.string()
  reader.boolean()
  reader.end()
  if (host === undefined) return failure
  return verifySignature(host.publicKey, sessionId, signature, signatureAlgorithmOf(signature)) ? success : failure
}

async function drained(stream: Duplex): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.once('drain', resolve)
  stream.once('close', resolve)
  await promise
  stream.off('drain', resolve)
  stream.off('close', resolve)
}
