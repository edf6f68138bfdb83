/** The identity of one role of a machine: key, host certificate, and the authorities it trusts; kept in one file (docs/protocol.md). */

import { createPrivateKey, type KeyObject } from 'node:crypto'
import { dirname } from 'node:path'
import { z } from 'zod'
import { ensurePrivateDir, type Owner, readPrivateFile, writeFileAtomic } from '../common/files.ts'
import { BadParameter } from '../errors/errors.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { keyObjectOf, privateKeyFromKeyObject } from '../ssh/keys/private-key.ts'
import { equalKeys } from '../ssh/keys/public-key.ts'
import type { PrivateKey, PublicKey } from '../ssh/keys/types.ts'
import { formatCertificateLine, formatKeyLine, parseCertificateLine, parseKeyLine } from './lines.ts'

/** Values of the extension `x-teleport-role`. */
const machineRoles = ['Auth', 'Proxy', 'Node', 'Admin'] as const
export type MachineRole = (typeof machineRoles)[number]

export interface MachineIdentity {
  readonly role: MachineRole
  readonly uuid: string
  readonly clusterName: string
  readonly key: PrivateKey
  readonly certificate: Certificate
  readonly hostAuthorities: readonly PublicKey[]
  readonly userAuthorities: readonly PublicKey[]
}

/** Bytes; an identity with several authorities is a few KiB. */
const maxBytes = 1024 * 1024

const identityFile = z.strictObject({
  version: z.literal(1),
  role: z.enum(machineRoles),
  uuid: z.uuid(),
  clusterName: z.string().min(1),
  /** PKCS#8 in PEM. */
  privateKey: z.string(),
  certificate: z.string(),
  hostAuthorities: z.array(z.string()).min(1),
  userAuthorities: z.array(z.string()),
})

/**
 * Reads `identity.json`. Throws NotFound when there is none, AccessDenied when others may read it or it is a link (the message
 * names the file and the remedy), BadParameter when its content is not what `saveIdentity` writes. Besides our own, the file may be
 * that of `owner`.
 */
export async function loadIdentity(path: string, owner?: Owner): Promise<MachineIdentity> {
  const content = await readPrivateFile(path, maxBytes, owner)
  try {
    const file = identityFile.parse(JSON.parse(content.toString('utf8')))
    const key = privateKeyFromKeyObject(readPem(file.privateKey))
    const certificate = parseCertificateLine(file.certificate)
    if (!equalKeys(key.publicKey, certificate.publicKey)) throw new Error('key and certificate do not belong together')
    const { role, uuid, clusterName } = file
    return {
      role,
      uuid,
      clusterName,
      key,
      certificate,
      hostAuthorities: file.hostAuthorities.map((line) => parseKeyLine(line, 'hostAuthorities')),
      userAuthorities: file.userAuthorities.map((line) => parseKeyLine(line, 'userAuthorities')),
    }
  } catch (error) {
    // The content is secret, so the message does not quote the parser, which would quote the content.
    const remedy =
      'restore it from a backup, or move it away: auth makes a new one at its start, a proxy or node joins again with a token'
    throw new BadParameter(path, `${path} is not a machine identity or is damaged; ${remedy}`, { cause: error })
  }
}

/** Writes `identity.json` (0600, replaced atomically); makes the directory (0700) when it is missing. For `owner` when given. */
export async function saveIdentity(path: string, identity: MachineIdentity, owner?: Owner): Promise<void> {
  await ensurePrivateDir(dirname(path), owner)
  const { role, uuid, clusterName, key, certificate, hostAuthorities, userAuthorities } = identity
  const file: z.input<typeof identityFile> = {
    version: 1,
    role,
    uuid,
    clusterName,
    privateKey: keyObjectOf(key).export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: formatCertificateLine(certificate),
    hostAuthorities: hostAuthorities.map(formatKeyLine),
    userAuthorities: userAuthorities.map(formatKeyLine),
  }
  await writeFileAtomic(path, `${JSON.stringify(file, undefined, 2)}\n`, owner === undefined ? {} : { owner })
}

function readPem(pem: string): KeyObject {
  return createPrivateKey({ key: pem, format: 'pem' })
}
