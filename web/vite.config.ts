/** Builds the page into `dist/web`: no address but our own in it, one style sheet, the terminal apart. */

import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { themeCss } from './theme-css.ts'

export default defineConfig({
  root: import.meta.dirname,
  base: '/web/',
  logLevel: 'warn',
  plugins: [react(), themeCss()],
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
    // What counts is the compressed size, which a test measures.
    chunkSizeWarningLimit: 1_000,
  },
})
