/**
 * Where a part of the product lies that is started on its own: a worker thread, a helper process. In the sources that is the file
 * beside the one that starts it; in `dist/` it is a file of its own, named in `scripts/build.ts`.
 */

/** `source`: `new URL('./worker.ts', import.meta.url)`. `name`: of the entry point in `scripts/build.ts`. */
export function programFile(source: URL, name: string, importer: string): URL {
  if (importer.endsWith('.ts')) return source
  return new URL(importer.includes('/chunks/') ? `../${name}.js` : `./${name}.js`, importer)
}
