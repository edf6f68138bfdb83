/** `tctl auth export|sign` */

import { readFileSync } from 'node:fs'
import type { ApiClient } from '../../../api/client.ts'
import type { Authority } from '../../../api/model.ts'
import { listAuthorities, signHost, signUser } from '../../../api/routes.ts'
import { readFileBounded } from '../../../common/files.ts'
import { checkName } from '../../../common/names.ts'
import { BadParameter, MissingParameter, NotFound } from '../../../errors/errors.ts'
import { parsePublicKeyLine } from '../../../ssh/keys/line.ts'
import { generateEd25519 } from '../../../ssh/keys/private-key.ts'
import { formatPrivateKey } from '../../../ssh/keys/private-key-file.ts'
import { fingerprintSha256 } from '../../../ssh/keys/public-key.ts'
import { givenFile } from '../../common/given-file.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { publicKeyLine, publicKeyOfLine } from '../../tsh/keys.ts'
import { writePrivate } from '../../tsh/store.ts'
import { refuseExisting, writeIdentity } from '../../tsh/write-identity.ts'
import { listOf, secondsOf } from '../arguments.ts'
import { withAdminApi } from '../connect.ts'

const bare = (key: string): string => key.split(' ').slice(0, 2).join(' ')

function exportLine(authority: Authority, key: string, format: string | undefined): string {
  const { clusterName: cluster, type } = authority
  if (format === 'openssh') return bare(key)
  return type === 'user'
    ? `cert-authority ${bare(key)} clustername=${cluster}&type=user`
    : `@cert-authority *.${cluster} ${bare(key)} clustername=${cluster}&type=host`
}

export const authExport: CommandRun = ({ options }) =>
  withAdminApi(options, async (api) => {
    const type = options.string('type')
    const wanted = options.string('fingerprint')
    const { items } = await api.call(listAuthorities)
    const lines = items
      .filter((authority) => type === undefined || authority.type === type)
      .flatMap((authority) =>
        authority.keys
          .filter((key) => wanted === undefined || fingerprintSha256(publicKeyOfLine(key, 'authority')) === wanted)
          .map((key) => exportLine(authority, key, options.string('format'))),
      )
    if (lines.length === 0) throw new NotFound(`no authority has a key with the fingerprint ${wanted ?? ''}`)
    process.stdout.write(lines.map((line) => `${printable(line)}\n`).join(''))
    return 0
  })

interface SignRequest {
  readonly out: string
  readonly format: string
  readonly ttlSeconds: number | undefined
  readonly overwrite: boolean
  /** The line of the key that the user brings. */
  readonly key: string | undefined
}

async function signRequest(options: OptionValues): Promise<SignRequest> {
  const out = options.string('out')
  if (out === undefined || out === '')
    throw new MissingParameter('--out', '--out=PATH is required: where the certificate is written')
  const path = options.string('key')
  const key =
    path === undefined ? undefined : (await givenFile('--key', readFileBounded(path, 65_536))).toString('utf8').trim()
  if (key !== undefined) checkPublicKey(key, path ?? '')
  const request = {
    out,
    format: options.string('format') ?? (key === undefined ? 'file' : 'openssh'),
    ttlSeconds: secondsOf(options.string('ttl'), '--ttl'),
    overwrite: options.flag('overwrite'),
    key,
  }
  if (key !== undefined && request.format === 'file') {
    throw new BadParameter(
      '--format',
      '--format=file needs the private key, which --key does not give; use --format=openssh',
    )
  }
  const files = request.format === 'file' ? [out] : key === undefined ? [out, `${out}-cert.pub`] : [`${out}-cert.pub`]
  refuseExisting(files, request.overwrite)
  return request
}

function checkPublicKey(line: string, path: string): void {
  try {
    parsePublicKeyLine(line)
  } catch (error) {
    throw new BadParameter('--key', `--key: ${path} does not hold an SSH public key`, { cause: error })
  }
}

export const authSign: CommandRun = async ({ options }) => {
  const user = options.string('user')
  const host = options.string('host')
  if ((user === undefined) === (host === undefined))
    throw new BadParameter('--user', 'give either --user=NAME or --host=NAMES')
  if (host !== undefined && options.string('format') === 'file') {
    throw new BadParameter('--format', '--format=file is for users; a host certificate needs --format=openssh')
  }
  const name = user === undefined ? undefined : checkName('user name', user)
  const hosts = host === undefined ? [] : listOf(host, '--host')
  const request = await signRequest(options)
  return await withAdminApi(options, async (api) => {
    const files = name === undefined ? await signHostKey(api, hosts, request) : await signUserKey(api, name, request)
    process.stdout.write(`\nThe credentials have been written to ${files.map(printable).join(', ')}\n`)
    return 0
  })
}

async function signUserKey(api: ApiClient, user: string, request: SignRequest): Promise<readonly string[]> {
  const key = request.key === undefined ? generateEd25519(undefined, `teleport:${user}`) : undefined
  const line = request.key ?? publicKeyLine((key ?? generateEd25519()).publicKey)
  const signed = await api.call(signUser, {
    body: { user, publicKey: line, ...(request.ttlSeconds === undefined ? {} : { ttlSeconds: request.ttlSeconds }) },
  })
  if (key === undefined) return writeCertificate(request, signed.certificate)
  const hostAuthorities = signed.hostAuthorities.filter((each) => each.type === 'host').flatMap((each) => each.keys)
  return writeIdentity(
    {
      privateKey: formatPrivateKey(key),
      certificate: signed.certificate,
      hostAuthorities,
      profile: { cluster: signed.clusterName },
    },
    { path: request.out, format: request.format, overwrite: request.overwrite },
  )
}

async function signHostKey(
  api: ApiClient,
  principals: readonly string[],
  request: SignRequest,
): Promise<readonly string[]> {
  const key = request.key === undefined ? generateEd25519(undefined, principals[0] ?? '') : undefined
  const line = request.key ?? publicKeyLine((key ?? generateEd25519()).publicKey)
  const signed = await api.call(signHost, {
    body: {
      principals: [...principals],
      publicKey: line,
      ...(request.ttlSeconds === undefined ? {} : { ttlSeconds: request.ttlSeconds }),
    },
  })
  if (key === undefined) return writeCertificate(request, signed.certificate)
  return writeIdentity(
    {
      privateKey: formatPrivateKey(key),
      certificate: signed.certificate,
      hostAuthorities: [],
      profile: { cluster: signed.clusterName },
    },
    { path: request.out, format: 'openssh', overwrite: request.overwrite },
  )
}

function writeCertificate(request: SignRequest, certificate: string): readonly string[] {
  const path = `${request.out}-cert.pub`
  writePrivate(path, `${certificate}\n`)
  return [path]
}

export const oldUpsertKey: CommandRun = async ({ options }) => {
  const user = checkName('user name', options.string('user') ?? '')
  const line = readFileSync(0, 'utf8').trim()
  checkPublicKey(line, 'standard input')
  return await withAdminApi(options, async (api) => {
    const signed = await api.call(signUser, { body: { user, publicKey: line } })
    process.stdout.write(`${printable(signed.certificate)}\n`)
    return 0
  })
}
