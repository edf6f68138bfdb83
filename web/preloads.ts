/** Lets the browser fetch at once what the page will need, also what its first script does not import by itself. */

import type { Plugin, Rolldown } from 'vite'

/** Links for the chunks of these modules, and what they import. */
export function preloads(bundle: Rolldown.OutputBundle, isWanted: (id: string) => boolean, not = ''): string {
  const chunks = new Map(Object.entries(bundle).flatMap(([name, one]) => (one.type === 'chunk' ? [[name, one]] : [])))
  const wanted = new Set<string>()
  const add = (name: string): void => {
    if (wanted.has(name)) return
    wanted.add(name)
    chunks.get(name)?.imports.forEach(add)
  }
  for (const [name, { facadeModuleId, moduleIds }] of chunks) {
    if (isWanted(facadeModuleId ?? '') || moduleIds.some(isWanted)) add(name)
  }
  return [...wanted]
    .filter((name) => !not.includes(name))
    .map((name) => `<link rel="modulepreload" crossorigin href="/web/${name}">`)
    .join('')
}

/** The parts that are run one after the other (`src/main.tsx`). */
export const startOrder = (): Plugin => ({
  name: 'start-order',
  transformIndexHtml: {
    order: 'post',
    handler: (html, { bundle = {} }) =>
      html.replace(
        '</head>',
        () => `  ${preloads(bundle, (id) => /\/src\/(start\/\w+\.ts|app\.tsx)$/.test(id), html)}\n  </head>`,
      ),
  },
})
