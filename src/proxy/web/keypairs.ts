/**
 * The HTTPS keys of a proxy: the files that the configuration names, else a self-signed pair below the data directory.
 * With several pairs the name that the client asked for (SNI) decides, and the first one serves everybody else.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Env } from '../../common/env.ts'
import { readFileBounded, readPrivateFile, writeFileAtomic } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import { BadParameter, isNotFound } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { makeSelfSigned } from './self-signed.ts'

/** Suites with forward secrecy and authenticated encryption only; all of TLS 1.3 is that. */
export const tlsOptions = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_AES_128_GCM_SHA256',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
} as const

export interface KeyPairFiles {
  readonly keyFile: string
  readonly certFile: string
}

export interface KeyPairOptions {
  /** Empty: self-signed. */
  readonly files: readonly KeyPairFiles[]
  /** Where the self-signed pair is kept; must exist and be private. */
  readonly directory: string
  /** Names and addresses for a self-signed certificate. */
  readonly names: readonly string[]
  readonly env: Env
  readonly logger: Logger
}

interface KeyPair {
  readonly key: Buffer
  readonly cert: Buffer
  readonly certificate: X509Certificate
  readonly context: SecureContext
}

export interface KeyPairs {
  /** What `https.createServer` starts with. */
  readonly primary: { readonly key: Buffer; readonly cert: Buffer }
  readonly selfSigned: boolean
  contextFor(serverName: string): SecureContext
}

const maxFile = 256 * 1024
const renewBeforeMs = 30 * 86_400_000

/** Reads or makes the key pairs. Throws BadParameter that names the file when one does not fit. */
export async function loadKeyPairs(options: KeyPairOptions): Promise<KeyPairs> {
  const selfSigned = options.files.length === 0
  const pairs = selfSigned ? [await ownPair(options)] : await Promise.all(options.files.map((files) => readPair(files)))
  const [first] = pairs
  if (first === undefined) throw new BadParameter('https_keypairs', 'https_keypairs is empty')
  for (const { certificate } of pairs) {
    if (certificate.validToDate <= options.env.now()) {
      options.logger.warn('the HTTPS certificate has expired; clients will refuse it', {
        subject: certificate.subject,
        expired: certificate.validTo,
      })
    }
  }
  return {
    primary: { key: first.key, cert: first.cert },
    selfSigned,
    contextFor: (name) =>
      (pairs.find(({ certificate }) => certificate.checkHost(name, { subject: 'never' }) !== undefined) ?? first)
        .context,
  }
}

async function ownPair(options: KeyPairOptions): Promise<KeyPair> {
  const keyFile = join(options.directory, 'https.key')
  const certFile = join(options.directory, 'https.crt')
  try {
    const pair = await readPair({ keyFile, certFile }, true)
    if (pair.certificate.validToDate.getTime() - options.env.now().getTime() > renewBeforeMs) return pair
    options.logger.info('the self-signed HTTPS certificate ends soon and is replaced', { file: certFile })
  } catch (error) {
    // A first start, or one that was killed between the two files.
    if (!isNotFound(error)) throw error
  }
  const made = await makeSelfSigned(options.names, options.env.now())
  // The key first: a certificate without its key would be found by the next start and refused.
  await writeFileAtomic(keyFile, made.key)
  await writeFileAtomic(certFile, made.certificate)
  options.logger.warn(
    'made a self-signed HTTPS certificate; clients need --insecure, or set https_key_file and https_cert_file',
    { file: certFile, names: options.names.join(', ') },
  )
  return readPair({ keyFile, certFile }, true)
}

async function readPair(files: KeyPairFiles, own = false): Promise<KeyPair> {
  // Configured files may belong to another program (a renewal job) and have its modes; ours must be private.
  const key = await (own ? readPrivateFile(files.keyFile, maxFile) : readFileBounded(files.keyFile, maxFile))
  const cert = await readFileBounded(files.certFile, maxFile)
  let certificate: X509Certificate
  let privateKey: KeyObject
  try {
    certificate = new X509Certificate(cert)
  } catch (error) {
    throw new BadParameter('https_cert_file', `${files.certFile} holds no certificate in PEM form`, { cause: error })
  }
  try {
    privateKey = createPrivateKey(key)
  } catch (error) {
    throw new BadParameter('https_key_file', `${files.keyFile} holds no unencrypted private key in PEM form`, {
      cause: error,
    })
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new BadParameter('https_key_file', `${files.keyFile} is not the key of the certificate in ${files.certFile}`)
  }
  try {
    return { key, cert, certificate, context: createSecureContext({ key, cert, ...tlsOptions }) }
  } catch (error) {
    throw new BadParameter('https_cert_file', `${files.certFile} cannot be used for HTTPS: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
