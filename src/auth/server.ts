/** The auth service as the supervisor starts it. */

import type { AddressInfo } from 'node:net'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { ConnectionProblem } from '../errors/errors.ts'

export interface AuthService extends AsyncDisposable {
  readonly address: AddressInfo
  readonly clusterName: string
  /** `sha256:…` of the host authority's keys. */
  readonly caPins: readonly string[]
  close(drainMs?: number): Promise<void>
}

export interface StartAuthOptions {
  /** `data_dir`; the service keeps everything below `auth/` in it. */
  readonly dataDir: string
  readonly listen: { readonly host: string; readonly port: number }
  /** Used at the first start only; default: the host's name. */
  readonly clusterName?: string
  readonly env?: Env
  readonly logger?: Logger
}

export async function startAuth(options: StartAuthOptions): Promise<AuthService> {
  throw new ConnectionProblem(`cannot start in ${options.dataDir} yet`)
}
