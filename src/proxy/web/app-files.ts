/**
 * The built page: a few files, read once, served as they are. Their names hold their hashes, so browsers keep them for ever; the
 * page itself is made anew for each request, with a number used once that lets its own style sheets in and nobody else's.
 */

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Env } from '../../common/env.ts'
import { isNotFound, SystemError } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'

export interface AppFile {
  readonly type: string
  readonly plain: Buffer
  /** Compressed when it was built. */
  readonly brotli: Buffer | undefined
}

export interface AppFiles {
  /** The page, and the policy under which it works. */
  page(env: Env): { readonly html: string; readonly policy: string }
  /** Below `/web/assets/`, by name. */
  asset(name: string): AppFile | undefined
}

/** Addresses that are the page's; it finds out by itself what to show. */
export const appPaths = [
  '/web',
  '/web/login',
  '/web/nodes',
  '/web/terminal',
  '/web/sessions',
  '/web/sessions/:sid',
  '/web/recordings',
  '/web/recordings/:sid',
  '/web/account',
  '/web/audit',
  '/web/requests',
  '/web/admin',
  '/web/admin/:section',
  '/docs/api',
] as const

const types: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  woff2: 'font/woff2',
}
/** Bytes of all files together: more is not what we built. */
const maxBytes = 32 * 1024 * 1024
const nonceMark = '__NONCE__'

/** `dist/web`, beside the bundled programs or below the sources. */
const directory = (): string =>
  fileURLToPath(
    import.meta.url.endsWith('.ts')
      ? new URL('../../../dist/web/', import.meta.url)
      : new URL(import.meta.url.includes('/chunks/') ? '../web/' : './web/', import.meta.url),
  )

/** Undefined when the page was not built. */
export async function loadAppFiles(from: string = directory()): Promise<AppFiles | undefined> {
  let names: string[]
  try {
    names = await readdir(join(from, 'assets'))
  } catch (error) {
    const kind = convertSystemError(error, 'read the web page')
    if (isNotFound(kind)) return undefined
    throw kind
  }
  const html = await readFile(join(from, 'index.html'), 'utf8')
  const files = new Map<string, AppFile>()
  let bytes = 0
  for (const name of names) {
    const type = types[name.split('.').at(-1) ?? '']
    if (type === undefined) continue
    const plain = await readFile(join(from, 'assets', name))
    bytes += plain.length
    if (bytes > maxBytes) throw new SystemError('EFBIG', `the files in ${from} are too large to be the web page`)
    const brotli = names.includes(`${name}.br`) ? await readFile(join(from, 'assets', `${name}.br`)) : undefined
    files.set(name, { type, plain, brotli })
  }
  return {
    page(env) {
      const nonce = env.randomBytes(16).toString('base64url')
      return { html: html.replaceAll(nonceMark, nonce), policy: policyOf(nonce) }
    },
    asset: (name) => files.get(name),
  }
}

/** Scripts from here only, none inside the page; style sheets from here, or made by our scripts with the number. */
const policyOf = (nonce: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
