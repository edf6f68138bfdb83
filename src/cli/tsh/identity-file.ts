/**
 * One file that holds a whole identity (`tctl auth sign --format=file`, `tsh login --out`): private key, certificate line, and
 * an @cert-authority line for each key of the host authority. OpenSSH reads the private key from it too.
 */

import { BadParameter, NotFound } from '../../errors/errors.ts'
import { readPrivate } from './store.ts'

export interface IdentityFile {
  readonly privateKey: string
  readonly certificate: string
  readonly hostAuthorities: readonly string[]
  readonly cluster: string
}

export function formatIdentityFile(identity: IdentityFile): string {
  const authorities = identity.hostAuthorities.map(
    (key) =>
      `@cert-authority *.${identity.cluster} ${key.split(' ').slice(0, 2).join(' ')} clustername=${identity.cluster}&type=host\n`,
  )
  return `${identity.privateKey.trimEnd()}\n${identity.certificate.trim()}\n${authorities.join('')}`
}

/** Throws NotFound, AccessDenied for a loose mode, BadParameter for another content; each names the file. */
export function readIdentityFile(path: string): IdentityFile {
  const text = readPrivate(path)
  if (text === undefined) throw new NotFound(`cannot read the identity file ${path}: no such file`)
  return parseIdentityFile(text, path)
}

export function parseIdentityFile(text: string, path: string): IdentityFile {
  const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----/.exec(text)?.[0]
  const certificate = /^\S+-cert-v01@openssh\.com [A-Za-z0-9+/=]+/m.exec(text)?.[0]
  const authorities = [...text.matchAll(/^@cert-authority \S*\*\.(\S+?) (\S+ [A-Za-z0-9+/=]+)/gm)]
  const cluster = authorities[0]?.[1]
  if (privateKey === undefined) throw new BadParameter(path, `${path}: no private key in this identity file`)
  if (certificate === undefined) throw new BadParameter(path, `${path}: no certificate in this identity file`)
  if (cluster === undefined) throw new BadParameter(path, `${path}: no @cert-authority line in this identity file`)
  return {
    privateKey: `${privateKey}\n`,
    certificate,
    hostAuthorities: authorities.map((each) => each[2] ?? ''),
    cluster,
  }
}
