/** The default of every limit, in one place, and how a partial configuration is completed. */

import { BadParameter } from '../../errors/errors.ts'
import type { Limits } from './types.ts'

const KIB = 1024
const MIB = 1024 * KIB

export const defaultLimits: Limits = Object.freeze({
  loginGraceMs: 120_000,
  maxAuthTries: 6,
  maxPreAuthConnections: 100,
  maxSessions: 10,
  maxChannels: 100,
  windowSize: 2 * MIB,
  maxPacketSize: 32 * KIB,
  maxTransportPacket: 256 * KIB,
  maxOutstandingReplies: 1024,
  maxRekeyQueue: 8 * MIB,
  highWaterMark: MIB,
  rekeyBytes: 1024 * MIB,
  rekeyMs: 3_600_000,
  rekeyTimeoutMs: 60_000,
})

/** Largest packet before the peer has authenticated, bytes: RFC 4253 section 6.1 demands 35,000; nothing legitimate is larger. */
export const MAX_PREAUTH_PACKET = 64 * KIB

/** RFC 4253 section 6.1: every implementation must take packets of this size, bytes. */
const MIN_TRANSPORT_PACKET = 35_000

/** Fills in the defaults. Throws BadParameter for values that are not positive integers or that break the protocol. */
export function resolveLimits(partial: Partial<Limits> = {}): Limits {
  const limits = { ...defaultLimits, ...partial }
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new BadParameter(name, `limit ${name} must be a positive whole number, not ${value}`)
    }
  }
  if (limits.maxTransportPacket < MIN_TRANSPORT_PACKET || limits.maxTransportPacket > MIB) {
    throw new BadParameter(
      'maxTransportPacket',
      `limit maxTransportPacket must be ${MIN_TRANSPORT_PACKET} to ${MIB} bytes`,
    )
  }
  if (limits.maxPacketSize > limits.maxTransportPacket - 4 * KIB) {
    throw new BadParameter('maxPacketSize', 'limit maxPacketSize must be at least 4 KiB below maxTransportPacket')
  }
  return limits
}
