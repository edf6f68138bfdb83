/** Builds the page into `dist/web`: no address but our own in it, one style sheet, the terminal apart. */

import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { beginningsToFiles } from './beginnings.tsx'
import { startOrder } from './preloads.ts'
import { themeCss } from './theme-css.ts'

export default defineConfig({
  root: import.meta.dirname,
  base: '/web/',
  logLevel: 'warn',
  plugins: [react(), themeCss(), startOrder(), beginningsToFiles(join(import.meta.dirname, 'src/scheme.ts'))],
  resolve: {
    alias: {
      // Recordings are read by the modules of `tsh`, with the terminal that the page has anyway.
      '@xterm/headless': join(import.meta.dirname, 'src/recordings/headless.ts'),
      // The schemas of roles ask what is an address.
      'node:net': join(import.meta.dirname, 'src/admin/node-net.ts'),
    },
  },
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    target: 'es2023',
    // A data: address would be one more thing that the policy must let in.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'react', test: /node_modules\/(react|scheduler|use-sync-external-store)\// },
            { name: 'react-dom', test: /node_modules\/react-dom\/|\/src\/start\/draw\.ts/ },
            { name: 'query', test: /node_modules\/@tanstack\/(react-query|query-core)\/|\/src\/start\/data\.ts/ },
            {
              name: 'router',
              test: /node_modules\/@tanstack\/(react-router|router-core|history|react-store|store)\/|\/src\/start\/router\.ts/,
            },
            // What all pages share, in one piece instead of many tiny ones.
            {
              name: 'base',
              test: /\/web\/src\/(api|text|icons|later|trouble|session|colours|places)\.tsx?$|\/terminal\/tabs\.ts$/,
            },
            // Of the library, what nearly all pages need, and not the first one.
            {
              name: 'library',
              test: /@mantine\/core\/esm\/components\/(TextInput|PasswordInput|Button|Alert|Stack|Text|ActionIcon)\//,
            },
          ],
        },
      },
    },
    // What counts is the compressed size, which a test measures.
    chunkSizeWarningLimit: 1_000,
  },
})
