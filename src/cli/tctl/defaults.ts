/** Where the auth service of this machine keeps its data and listens, from the same file that it reads. */

import { formatAddress, reachable } from '../../common/address.ts'
import { loadConfig } from '../../config/load.ts'

export interface AuthDefaults {
  readonly dataDir: string
  /** `host:port` */
  readonly address: string
}

/** Throws what the loader throws for an unusable file. */
export async function authDefaults(file: string | undefined): Promise<AuthDefaults> {
  const { config } = await loadConfig({ ...(file === undefined ? {} : { file }), environment: process.env })
  return { dataDir: config.dataDir, address: formatAddress(reachable(config.auth.listenAddr)) }
}
