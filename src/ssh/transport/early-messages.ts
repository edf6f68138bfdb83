/** What a peer may say before and right after the first key exchange, counted: nothing there is authentic, or needed twice. */

import { readExtensionInfo } from './extension-info.ts'
import { DisconnectReason, Message } from './messages.ts'
import { ProtocolProblem } from './problem.ts'

/** IGNORE, DEBUG and the like before the first keys, without strict kex. */
const MAX_EARLY_NOISE = 16
const MAX_EXT_INFO = 3

export class EarlyMessages {
  readonly extensions = new Map<string, Buffer>()
  #noise = 0
  #extInfos = 0

  /** Before the first keys: with strict kex nothing but the exchange itself may come (the Terrapin attack). Throws ProtocolProblem. */
  check(type: number, strict: boolean): void {
    const noise = type === Message.IGNORE || type === Message.DEBUG || type === Message.UNIMPLEMENTED
    this.#noise++
    if (strict || !noise || this.#noise > MAX_EARLY_NOISE) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, `message ${type} before the key exchange was finished`)
    }
  }

  /** EXT_INFO, which may come until the login is done. Throws ProtocolProblem and WireError. */
  readExtensions(payload: Buffer, authenticated: boolean): void {
    this.#extInfos++
    if (authenticated || this.#extInfos > MAX_EXT_INFO) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, 'EXT_INFO out of order')
    }
    readExtensionInfo(payload, this.extensions)
  }
}
