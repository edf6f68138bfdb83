/** What the interop rows offer: also the key exchanges that are off by default. */

import type { KexAlgorithm } from '../transport/types.ts'

export const KEX_ALGORITHMS: readonly KexAlgorithm[] = [
  'mlkem768x25519-sha256',
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'diffie-hellman-group16-sha512',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'diffie-hellman-group14-sha256',
]
