/** Where the auth service of this machine keeps its data and listens, from the same file that it reads. */

import { formatAddress, reachable } from '../../common/address.ts'
import { realEnv } from '../../common/env.ts'
import type { Owner } from '../../common/files.ts'
import { loadConfig } from '../../config/load.ts'
import { serviceAccount } from '../../service/service-user.ts'
import { givenFile } from '../common/given-file.ts'

export interface AuthDefaults {
  readonly dataDir: string
  /** Whose the data of auth is, when that is not root's. */
  readonly owner: Owner | undefined
  /** `host:port` */
  readonly address: string
}

/** Throws what the loader throws for an unusable file. */
export async function authDefaults(file: string | undefined): Promise<AuthDefaults> {
  const loading = loadConfig({ ...(file === undefined ? {} : { file }), environment: process.env })
  const { config } = await givenFile('--config', loading)
  const owner = await serviceAccount(config, realEnv)
  return { dataDir: config.dataDir, owner, address: formatAddress(reachable(config.auth.listenAddr)) }
}
