/** Bundles the three programs into `dist/`: one file each and lazily loaded chunks, so that a subcommand loads what it needs. */

import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { build } from 'esbuild'

const programs = ['teleport', 'tctl', 'tsh'].filter((name) => existsSync(`src/cli/${name}/main.ts`))
await rm('dist', { recursive: true, force: true })
if (programs.length > 0) {
  await build({
    entryPoints: Object.fromEntries(programs.map((name) => [name, `src/cli/${name}/main.ts`])),
    outdir: 'dist',
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    platform: 'node',
    format: 'esm',
    target: 'node26',
    minifySyntax: true,
    minifyWhitespace: true,
    keepNames: true,
    legalComments: 'none',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';const require=__createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
}
