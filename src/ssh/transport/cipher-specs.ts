/** Sizes of what each cipher and MAC needs. */

import type { CipherAlgorithm, MacAlgorithm } from './types.ts'

export interface DirectionKeys {
  readonly iv: Buffer
  readonly key: Buffer
  readonly macKey: Buffer
}

export const cipherSpecs: Readonly<Record<CipherAlgorithm, { readonly keySize: number; readonly ivSize: number }>> = {
  'aes256-gcm@openssh.com': { keySize: 32, ivSize: 12 },
  'aes128-gcm@openssh.com': { keySize: 16, ivSize: 12 },
  'chacha20-poly1305@openssh.com': { keySize: 64, ivSize: 0 },
  'aes256-ctr': { keySize: 32, ivSize: 16 },
  'aes192-ctr': { keySize: 24, ivSize: 16 },
  'aes128-ctr': { keySize: 16, ivSize: 16 },
}

export const macSpecs: Readonly<
  Record<MacAlgorithm, { readonly keySize: number; readonly hash: 'sha256' | 'sha512' }>
> = {
  'hmac-sha2-256-etm@openssh.com': { keySize: 32, hash: 'sha256' },
  'hmac-sha2-512-etm@openssh.com': { keySize: 64, hash: 'sha512' },
}
