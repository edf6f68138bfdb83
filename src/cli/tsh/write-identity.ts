/** Writes an identity to a file of the user's choice, in one of the two forms. Shared by `tsh login --out` and `tctl auth sign`. */

import { lstatSync } from 'node:fs'
import { AlreadyExists, BadParameter } from '../../errors/errors.ts'
import { formatIdentityFile } from './identity-file.ts'
import { writePrivate } from './store.ts'

export interface IdentityTexts {
  readonly privateKey: string
  readonly certificate: string
  readonly hostAuthorities: readonly string[]
  readonly profile: { readonly cluster: string }
}

export interface WriteIdentityOptions {
  readonly path: string
  readonly format: string
  readonly overwrite: boolean
}

/** Throws AlreadyExists before anything is written. Returns the files it wrote. */
export function writeIdentity(identity: IdentityTexts, options: WriteIdentityOptions): readonly string[] {
  const { path, format } = options
  switch (format) {
    case 'file': {
      refuseExisting([path], options.overwrite)
      writePrivate(path, formatIdentityFile({ ...identity, cluster: identity.profile.cluster }))
      return [path]
    }
    case 'openssh': {
      const certificate = `${path}-cert.pub`
      refuseExisting([path, certificate], options.overwrite)
      writePrivate(path, identity.privateKey)
      writePrivate(certificate, `${identity.certificate}\n`)
      return [path, certificate]
    }
    default:
      throw new BadParameter('--format', `--format: ${JSON.stringify(format)} is neither file nor openssh`)
  }
}

export function refuseExisting(paths: readonly string[], overwrite: boolean): void {
  for (const path of paths) {
    if (!overwrite && lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
      throw new AlreadyExists(`${path} exists already; use --overwrite to replace it`)
    }
  }
}
