/** Secrets for a backup. Who asks for them must be the administrator on this very machine, and the audit log knows it before they go. */

import { authorizeResource } from '../access/authorize.ts'
import type { Caller } from '../api/caller.ts'
import type { AuthoritySecrets, CredentialSecrets } from '../api/secret-routes.ts'
import type { Backend } from '../backend/contract.ts'
import { AccessDenied, CompareFailed, isCompareFailed } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import { type Authorities, authorityTypes } from './authorities.ts'
import type { Changes } from './changes.ts'
import { migrateCredentials } from './mfa/migration.ts'
import { authItself } from './permits.ts'
import type { Credentials, Tables } from './records.ts'
import type { Users } from './users.ts'

export interface SecretExportsOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly audit: Audit
  readonly changes: Changes
  readonly authorities: Authorities
  readonly users: Users
}

export class SecretExports {
  readonly #options: SecretExportsOptions

  constructor(options: SecretExportsOptions) {
    this.#options = options
  }

  /** Throws AccessDenied, and CompareFailed while an authority is rotated. */
  async authorities(caller: Caller): Promise<AuthoritySecrets[]> {
    onlyHere(caller)
    const { authorities, audit } = this.#options
    const records = authorityTypes.map((type) => authorities.stored(type))
    for (const { type, rotation } of records) {
      if (rotation !== undefined)
        throw new CompareFailed(
          `the ${type} authority is being rotated; make the backup when that is finished, tctl status shows it`,
        )
    }
    await audit.emit({ event: 'secrets.export', user: caller.name, name: 'cert_authority' })
    return records.map(({ type, key }) => ({ type, clusterName: authorities.clusterName, key: { ...key } }))
  }

  /** Of one user, or a page of all. Throws AccessDenied. */
  async credentials(
    caller: Caller,
    query: { readonly user?: string | undefined; readonly limit: number; readonly after?: string | undefined },
  ): Promise<{ items: { user: string; secrets: CredentialSecrets }[]; next?: string }> {
    onlyHere(caller)
    const { tables, audit } = this.#options
    await audit.emit({ event: 'secrets.export', user: caller.name, name: query.user ?? 'user' })
    if (query.user !== undefined) {
      const found = await tables.credentials.find(query.user)
      return { items: found === undefined ? [] : [{ user: query.user, secrets: secretsOf(found.value) }] }
    }
    const { items, next } = await tables.credentials.page(query)
    const found = items.map(({ id, value }) => ({ user: id, secrets: secretsOf(value) }))
    return next === undefined ? { items: found } : { items: found, next }
  }

  /** Throws AccessDenied, NotFound. */
  async restore(caller: Caller, name: string, secrets: CredentialSecrets): Promise<void> {
    onlyHere(caller)
    const { backend, tables, audit, changes, users } = this.#options
    const found = await users.get(name)
    const permit = authorizeResource(authItself, 'update', 'user', { name })
    await audit.emit({ event: 'user.password_change', user: name, 'addr.remote': caller.address })
    try {
      await backend.commit([
        tables.users.unchanged(found),
        tables.users.put(permit, { ...found.value, activated: secrets.password !== undefined }),
        tables.credentials.put(name, credentialsFrom(secrets, found.value.created)),
        changes.mark(caller, 'user', name),
      ])
    } catch (error) {
      if (isCompareFailed(error)) throw await changes.conflict('user', name)
      throw error
    }
  }
}

const secretsOf = ({ password, otpSecret, devices, recoveryCodes }: Credentials): CredentialSecrets => ({
  ...(password === undefined ? {} : { password }),
  ...(otpSecret === undefined ? {} : { otpSecret }),
  ...(devices.length === 0 ? {} : { devices }),
  ...(recoveryCodes.length === 0 ? {} : { recoveryCodes }),
})

/** As this release stores them. */
export const credentialsFrom = (secrets: CredentialSecrets, addedAt: string): Credentials =>
  migrateCredentials(
    { ...secrets, devices: secrets.devices ?? [], recoveryCodes: secrets.recoveryCodes ?? [] },
    addedAt,
  )

/** The certificate of the administrator may have been copied; the machine cannot be. */
function onlyHere(caller: Caller): void {
  if (caller.role === 'Admin' && caller.sameHost === true) return
  throw new AccessDenied('access denied: secrets are given to tctl on the machine of the auth service only')
}
