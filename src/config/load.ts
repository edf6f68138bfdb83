/** Finds and reads teleport.yaml. */

import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { readFileBounded } from '../common/files.ts'
import { parseYamlValue, problemsError, readYaml } from '../common/yaml.ts'
import { BadParameter, isNotFound } from '../errors/errors.ts'
import { convertSystemError } from '../errors/system.ts'
import { buildConfig } from './build.ts'
import { type FileConfig, fileSchema } from './schema.ts'
import type { LoadedConfig, StartFlags } from './types.ts'
import { checkSecret } from './values.ts'

const DEFAULT_CONFIG_FILE = '/etc/teleport.yaml'
const MAX_CONFIG_BYTES = 256 * 1024
const MAX_TOKEN_BYTES = 4096

export interface LoadOptions {
  /** `-c FILE`. It must exist then, as must the one that TELEPORT_CONFIG_FILE names; /etc/teleport.yaml need not. */
  readonly file?: string
  readonly flags?: StartFlags
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** For tests. */
  readonly hostname?: string
}

/**
 * Throws BadParameter with every problem of the file as `file:line: key: what`, or naming the flag; NotFound and
 * AccessDenied for the file itself.
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const { flags = {}, environment = {} } = options
  const named = options.file ?? (environment.TELEPORT_CONFIG_FILE || undefined)
  const fileName = named ?? DEFAULT_CONFIG_FILE
  const text = await readConfigFile(fileName, named !== undefined)
  return buildConfig({
    ...(text === undefined ? {} : { fileName }),
    file: text === undefined ? {} : parseConfigText(text, fileName),
    flags,
    hostname: options.hostname ?? hostname(),
    readToken,
    readCertificates,
  })
}

/** For `teleport configure --test`, and for tests: the text instead of a file. Throws as `loadConfig`. */
export function parseConfig(
  text: string,
  fileName: string,
  flags: StartFlags = {},
  machine = hostname(),
): LoadedConfig {
  const file = parseConfigText(text, fileName)
  return buildConfig({ fileName, file, flags, hostname: machine, readToken, readCertificates })
}

function parseConfigText(text: string, fileName: string): FileConfig {
  const [document, second] = readYaml(text, fileName, MAX_CONFIG_BYTES)
  if (document === undefined) return {}
  if (second !== undefined)
    throw problemsError(fileName, [
      { line: second.lineOf([]), key: '', message: 'a second document (---) is not allowed' },
    ])
  return parseYamlValue(fileSchema, document)
}

async function readConfigFile(path: string, required: boolean): Promise<string | undefined> {
  try {
    const bytes = await readFileBounded(path, MAX_CONFIG_BYTES)
    const text = bytes.toString('utf8')
    if (!bytes.equals(Buffer.from(text, 'utf8'))) throw new BadParameter(path, `${path}: not valid UTF-8`)
    return text
  } catch (error) {
    if (!required && isNotFound(error)) return undefined
    throw error
  }
}

/** Only the first line counts, without white space: editors and `echo` add a line feed. */
function readToken(path: string): string {
  try {
    if (!statSync(path).isFile()) throw new BadParameter('token', `the token file ${path} is not a regular file`)
    const [line = ''] = readFileSync(path, 'utf8').slice(0, MAX_TOKEN_BYTES).trim().split('\n')
    return checkSecret(line.trim())
  } catch (error) {
    throw convertSystemError(error, `read the token file ${path}`)
  }
}

/** Throws BadParameter when it holds no certificate. */
function readCertificates(path: string): string {
  let text: string
  try {
    if (!statSync(path).isFile()) throw new BadParameter(path, `${path} is not a regular file`)
    text = readFileSync(path, 'utf8').slice(0, MAX_CONFIG_BYTES)
  } catch (error) {
    throw convertSystemError(error, `read the certificates in ${path}`)
  }
  try {
    new X509Certificate(text)
  } catch (error) {
    throw new BadParameter(path, `${path} holds no certificate in PEM form`, { cause: error })
  }
  return text
}
