/**
 * What stands in the page before its scripts have come. The HTML of `src/beginning.tsx` is made when the page is built, and the proxy
 * takes the one that fits from `beginnings.json` (`app-files.ts`); the colours are chosen by a script that is waited for.
 */

import type { ComponentProps } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import type { Plugin } from 'vite'
import { preloads } from './preloads.ts'
import { Beginning, Coming, LoginBeginning, NodesBeginning, ShellBeginning } from './src/beginning.tsx'

/** Where the proxy writes the name of the cluster. */
const clusterName = '__CLUSTER__'

const login = (secondFactor: ComponentProps<typeof LoginBeginning>['secondFactor']) => (
  <LoginBeginning clusterName={clusterName} secondFactor={secondFactor} />
)
const shell = (page: 'nodes' | 'other') => (
  <ShellBeginning clusterName={clusterName}>{page === 'nodes' ? <NodesBeginning /> : <Coming />}</ShellBeginning>
)

const beginnings = {
  unknown: <Beginning />,
  'login-off': login('off'),
  'login-otp': login('otp'),
  'login-webauthn': login('webauthn'),
  'login-on': login('on'),
  'login-optional': login('optional'),
  nodes: shell('nodes'),
  other: shell('other'),
}

/** `scheme`: the path of `src/scheme.ts`. */
export const beginningsToFiles = (scheme: string): Plugin => ({
  name: 'beginnings',
  buildStart() {
    this.emitFile({ type: 'chunk', id: scheme, name: 'scheme' })
  },
  generateBundle(_options, bundle) {
    // The form comes with the rest, and not only when the rest has found out that it is needed.
    const form = preloads(bundle, (id) => id.endsWith('/src/pages/login.tsx'))
    const made = Object.entries(beginnings).map(([name, element]) => [
      name,
      (name.startsWith('login') ? form : '') + renderToStaticMarkup(element),
    ])
    this.emitFile({
      type: 'asset',
      fileName: 'beginnings.json',
      source: JSON.stringify(Object.fromEntries(made)),
    })
  },
  transformIndexHtml: {
    order: 'post',
    handler(html, { bundle }) {
      const chunk = Object.values(bundle ?? {}).find((one) => one.type === 'chunk' && one.facadeModuleId === scheme)
      if (chunk === undefined) return html
      const sheet = /<link rel="stylesheet"[^>]*>/.exec(html)?.[0] ?? ''
      // First what is waited for before anything is drawn. Not as a module: those run after that.
      const waited = `<script src="/web/${chunk.fileName}"></script>\n    ${sheet}`
      return html.replace(sheet, '').replace('<script type="module"', () => `${waited}\n    <script type="module"`)
    },
  },
})
