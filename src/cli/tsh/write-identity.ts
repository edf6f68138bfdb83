/** Writes an identity to a file of the user's choice, in one of the two forms. Shared by `tsh login --out` and `tctl auth sign`. */

import { lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import { AlreadyExists, BadParameter } from '../../errors/errors.ts'
import { formatIdentityFile } from './identity-file.ts'
import { checkWritable, writePrivate } from './store.ts'

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

/** Throws what would keep an identity from being written: to be called before anything is asked for. Returns the files. */
export function checkIdentity({ path, format, overwrite }: WriteIdentityOptions): readonly string[] {
  const files = identityFiles(path, format)
  refuseExisting(files, overwrite)
  checkWritable(dirname(path))
  return files
}

function identityFiles(path: string, format: string): readonly string[] {
  switch (format) {
    case 'file':
      return [path]
    case 'openssh':
      return [path, `${path}-cert.pub`]
    default:
      throw new BadParameter('--format', `--format: ${JSON.stringify(format)} is neither file nor openssh`)
  }
}

/** Throws AlreadyExists before anything is written. Returns the files it wrote. */
export function writeIdentity(identity: IdentityTexts, options: WriteIdentityOptions): readonly string[] {
  const files = checkIdentity(options)
  const [path, certificate] = files
  if (path === undefined) return files
  if (certificate === undefined) {
    writePrivate(path, formatIdentityFile({ ...identity, cluster: identity.profile.cluster }))
    return files
  }
  writePrivate(path, identity.privateKey)
  writePrivate(certificate, `${identity.certificate}\n`)
  return files
}

export function refuseExisting(paths: readonly string[], overwrite: boolean): void {
  for (const path of paths) {
    if (!overwrite && lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
      throw new AlreadyExists(`${path} exists already; use --overwrite to replace it`)
    }
  }
}
