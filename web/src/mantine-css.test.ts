/** A component without its style sheet would look broken, and only where somebody looks. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const library = dirname(createRequire(import.meta.url).resolve('@mantine/core/styles.css'))
const sources = import.meta.dirname
const sheetOf = (name: string): string => join(library, 'styles', `${name}.css`)

const everyMatch = (text: string, pattern: RegExp): readonly string[] =>
  [...text.matchAll(pattern)].map(([, found = '']) => found)

/** The components that the page takes from the library. */
function used(): ReadonlySet<string> {
  const files = readdirSync(sources, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name))
  const lists = files.flatMap((name) =>
    everyMatch(readFileSync(join(sources, name), 'utf8'), /import \{([^}]*)\} from '@mantine\/core'/g),
  )
  return new Set(lists.flatMap((list) => list.split(',')).map((name) => name.trim()))
}

/** Those that have a sheet among what these modules are made of. */
function sheets(modules: readonly string[], seen = new Set<string>()): readonly string[] {
  return modules.flatMap((path) => {
    if (seen.has(path)) return []
    seen.add(path)
    const own = /([^/]+)\.module\.mjs$/.exec(path)?.[1]
    const imported = everyMatch(readFileSync(path, 'utf8'), /^import .*"(\.[^"]+)";?$/gm)
    return [
      ...(own === undefined || !existsSync(sheetOf(own)) ? [] : [own]),
      ...sheets(
        imported.map((to) => join(dirname(path), to)),
        seen,
      ),
    ]
  })
}

test('the style sheet has what the components need, in the order of the library', () => {
  const index = readFileSync(join(library, 'esm/index.mjs'), 'utf8')
  const names = used()
  const modules = index
    .split('\n')
    .filter((line) => /^import \{/.test(line))
    .filter((line) =>
      everyMatch(line, /\{([^}]*)\}/g).some((list) => list.split(',').some((one) => names.has(one.trim()))),
    )
    .flatMap((line) => everyMatch(line, /from "(\.[^"]+)"/g))
    .map((path) => join(library, 'esm', path))
  const squeezed = (text: string): string => text.replaceAll(/\/\*.*?\*\/|\s/gs, '')
  const all = squeezed(readFileSync(join(library, 'styles.css'), 'utf8'))
  const place = (name: string): number => all.indexOf(squeezed(readFileSync(sheetOf(name), 'utf8')).slice(0, 200))
  const needed = ['baseline', 'default-css-variables', 'global', ...sheets(modules)]
  const there = everyMatch(readFileSync(join(sources, 'mantine.css'), 'utf8'), /styles\/([^/]+)\.css/g)
  expect(there).toEqual(needed.toSorted((a, b) => place(a) - place(b)))
})
