/**
 * The built page: a few files, read once, served as they are. Their names hold their hashes, so browsers keep them for ever; the
 * page itself is made anew for each request, with a number used once that lets its own style sheets in and nobody else's.
 */

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ClusterConfig } from '../../api/model.ts'
import type { Env } from '../../common/env.ts'
import { isNotFound, SystemError } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'
import { escapeHtml } from './pages.ts'

export interface AppFile {
  readonly type: string
  readonly plain: Buffer
  /** Compressed when it was built. */
  readonly brotli: Buffer | undefined
}

export interface AppFiles {
  /** The page with what is seen until its scripts have come, and the policy under which it works. */
  page(env: Env, beginning: Beginning): { readonly html: string; readonly policy: string }
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
const beginningMark = '__BEGINNING__'
const clusterMark = '__CLUSTER__'

/** One of those that the build has made, of this cluster. */
export interface Beginning {
  readonly name: string
  readonly clusterName: string
}

/** What the proxy knows when it sends the page. */
export interface PageFacts {
  readonly path: string
  /** Whether the browser says that somebody is logged in; it may be over, which the page then finds out. */
  readonly hasSession: boolean
  /** Undefined as long as auth was not reached. */
  readonly config: Pick<ClusterConfig, 'clusterName' | 'secondFactor' | 'messageOfTheDay'> | undefined
}

/** What somebody will most likely see, so that the rest comes without a jump; otherwise only a sign that something comes. */
export function beginningFor({ path, hasSession, config }: PageFacts): Beginning {
  const clusterName = config?.clusterName ?? ''
  if (config === undefined || path === '/docs/api') return { name: 'unknown', clusterName }
  if (hasSession && path !== '/web/login') {
    return { name: path === '/web' || path === '/web/nodes' ? 'nodes' : 'other', clusterName }
  }
  // Elsewhere one is led to the login; a message has a height that nobody knows here.
  if (hasSession || config.messageOfTheDay.trim() !== '') return { name: 'unknown', clusterName }
  return { name: `login-${config.secondFactor}`, clusterName }
}

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
  const beginnings = new Map(
    Object.entries(JSON.parse(await readFile(join(from, 'beginnings.json'), 'utf8')) as Record<string, string>),
  )
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
    page(env, { name, clusterName }) {
      const nonce = env.randomBytes(16).toString('base64url')
      // With functions: in a text, `$&` would mean what is replaced.
      const beginning = (beginnings.get(name) ?? '').replaceAll(clusterMark, () => escapeHtml(clusterName))
      return {
        html: html.replaceAll(nonceMark, nonce).replace(beginningMark, () => beginning),
        policy: policyOf(nonce),
      }
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
