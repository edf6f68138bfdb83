/** What a transport is made of, complete: `connect.ts` fills in the defaults. */

import type { Duplex } from 'node:stream'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import type { KexSettings } from './key-exchange.ts'
import type { Limits, PresentedHostKey } from './types.ts'

export interface TransportSettings {
  readonly role: 'client' | 'server'
  readonly stream: Duplex
  readonly ident: string
  readonly limits: Limits
  readonly env: Env
  readonly logger: Logger
  readonly kex: KexSettings
  readonly verifyHost: (presented: PresentedHostKey) => void | Promise<void>
  readonly sendPreamble?: string | undefined
  readonly preamble?: { readonly prefix: string; verify(text: string): Promise<void> } | undefined
}
