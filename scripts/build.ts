/**
 * Bundles the programs into `dist/`: one file each and lazily loaded chunks, so that a subcommand loads what it needs; and the
 * short ways of `tsh ssh` and `tsh scp` as single files, since opening thirty chunks costs more than running it.
 */

import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants } from 'node:zlib'
import { type BuildOptions, build, type Plugin } from 'esbuild'

/**
 * Node's own modules through `process.getBuiltinModule`: as an ECMAScript import, each of them has all its exports read at once,
 * which for `node:http` alone loads a whole HTTP client (40 ms) that nobody here uses.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup(builder) {
    builder.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }))
    builder.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
      loader: 'js',
    }))
  },
}

const shared = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node26',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: true,
  legalComments: 'none',
  // Loaded once in the life of a proxy; in the bundle its module format would lose its names.
  external: ['@peculiar/x509', 'reflect-metadata', '@simplewebauthn/server'],
  logLevel: 'warning',
} as const satisfies BuildOptions

/** Packages in the older module format ask for `require`. */
const withRequire = {
  js: "import { createRequire as __createRequire } from 'node:module';const require=__createRequire(import.meta.url);",
}

/** In the programs' bundle, the imports of the short ways lead to their own files. */
const quickApart: Plugin = {
  name: 'quick-apart',
  setup(builder) {
    builder.onResolve({ filter: /\/(ssh|scp)\/quick\.ts$/ }, ({ path }) => {
      const command = path.includes('/scp/') ? 'scp' : 'ssh'
      return { path: `./tsh-${command}.js`, external: true }
    })
  },
}

/** What the short ways hardly ever need, and what needs the API, is in files of its own. */
const rareApart: Plugin = {
  name: 'rare-apart',
  setup(builder) {
    builder.onResolve({ filter: /\/fetch-authorities\.ts$/ }, () => ({ path: './tsh-authorities.js', external: true }))
    builder.onResolve({ filter: /\/session-login\.ts$/ }, () => ({ path: './tsh-session-login.js', external: true }))
  },
}

/** Parts that are started on their own; `programFile` in `src/common/program-file.ts` finds them. */
const parts = Object.entries({
  'recording-worker': 'src/node/recording/worker.ts',
  'recordings-worker': 'src/audit/recording/catalogue-worker.ts',
  'audit-worker': 'src/audit/worker.ts',
  'backend-worker': 'src/backend/worker.ts',
  'sftp-server': 'src/node/files/sftp-main.ts',
}).filter(([, file]) => existsSync(file))

/** The page for browsers, and its files compressed as well as they can be, once. */
async function buildPage(): Promise<void> {
  const { build: buildWeb } = await import('vite')
  await buildWeb({ configFile: 'web/vite.config.ts' })
  const directory = 'dist/web/assets'
  for (const name of await readdir(directory)) {
    const plain = await readFile(join(directory, name))
    const compressed = await promisify(brotliCompress)(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } })
    if (compressed.length < plain.length) await writeFile(join(directory, `${name}.br`), compressed)
  }
}

const programs = ['teleport', 'tctl', 'tsh'].filter((name) => existsSync(`src/cli/${name}/main.ts`))
await rm('dist', { recursive: true, force: true })
await mkdir('dist')
// Spares Node.js the search for a package.json above.
await writeFile('dist/package.json', '{"type":"module"}\n')
await Promise.all([
  buildPage(),
  build({
    ...shared,
    platform: 'browser',
    target: 'es2022',
    keepNames: false,
    entryPoints: { 'page-script': 'src/proxy/web/client/page.ts' },
    outdir: 'dist',
  }),
  build({
    ...shared,
    entryPoints: {
      ...Object.fromEntries(programs.map((name) => [name, `src/cli/${name}/main.ts`])),
      'tsh-session-login': 'src/cli/tsh/mfa/session-login.ts',
    },
    outdir: 'dist',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    banner: withRequire,
    plugins: [quickApart, builtins],
  }),
  build({
    ...shared,
    entryPoints: { 'tsh-ssh': 'src/cli/tsh/ssh/quick.ts', 'tsh-scp': 'src/cli/tsh/scp/quick.ts' },
    outdir: 'dist',
    keepNames: false,
    plugins: [rareApart, builtins],
  }),
  build({
    ...shared,
    entryPoints: { ...Object.fromEntries(parts), 'tsh-authorities': 'src/cli/tsh/fetch-authorities.ts' },
    outdir: 'dist',
    banner: withRequire,
    plugins: [builtins],
  }),
])
