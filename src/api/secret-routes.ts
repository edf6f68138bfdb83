/**
 * The part of the auth API that gives secrets, for backups: to the administrator on the machine of the auth service alone, who could
 * read the database there as well. No user, no machine and no other computer gets any of it, whatever their roles.
 */

import { z } from 'zod'
import {
  maxDevices,
  maxRecoveryCodes,
  passwordHash,
  recoveryCodeHash,
  totpSecret,
} from '../access/schema/credential-shapes.ts'
import { empty, endpoint } from './define.ts'
import { storedDevice } from './device-secrets.ts'
import { page, pageOf } from './pages.ts'

/** How a user proves who they are, as it is stored. */
export const credentialSecrets = z.strictObject({
  /** PHC string of Argon2id. */
  password: passwordHash.optional(),
  /** Of backups of earlier releases, which knew one device. */
  otpSecret: totpSecret.optional(),
  devices: z.array(storedDevice).max(maxDevices).optional(),
  recoveryCodes: z.array(recoveryCodeHash).max(maxRecoveryCodes).optional(),
})
export type CredentialSecrets = z.infer<typeof credentialSecrets>

const authoritySecrets = z.strictObject({
  type: z.enum(['user', 'host']),
  clusterName: z.string(),
  /** PKCS#8 in PEM, and the public half as one line. */
  key: z.strictObject({ privateKey: z.string().max(16_384), publicKey: z.string().max(8192) }),
})
export type AuthoritySecrets = z.infer<typeof authoritySecrets>

export const exportAuthorities = endpoint({
  method: 'GET',
  path: '/v1/secrets/authorities',
  summary: 'The authorities with their private keys, for a backup; on the machine of the auth service only',
  callers: ['Admin'],
  output: z.strictObject({ items: z.array(authoritySecrets) }),
})
export const exportCredentials = endpoint({
  method: 'GET',
  path: '/v1/secrets/credentials',
  summary:
    'Password hashes, second factors and hashes of recovery codes, for a backup; on the machine of the auth service only',
  callers: ['Admin'],
  query: z.strictObject({ user: z.string().min(1).max(256).optional(), ...page }),
  output: pageOf(z.strictObject({ user: z.string(), secrets: credentialSecrets })),
})
export const restoreCredentials = endpoint({
  method: 'PUT',
  path: '/v1/secrets/credentials/:name',
  summary: 'Gives a user the password and second factors of a backup; on the machine of the auth service only',
  callers: ['Admin'],
  params: z.strictObject({ name: z.string().min(1).max(256) }),
  body: credentialSecrets,
  output: empty,
})
