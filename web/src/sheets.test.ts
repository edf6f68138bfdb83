/** A lazily loaded sheet stays once it has come, so what it says about another area's classes would depend on where somebody was before. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const sources = import.meta.dirname
const names = readdirSync(sources, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.css'))
/** These come with the first page, and are for all of them. */
const common = ['first.css', 'mantine.css', 'style.css']

/** Each selector, without those of steps of an animation. */
function selectorsOf(name: string): readonly string[] {
  const text = readFileSync(join(sources, name), 'utf8').replaceAll(/\/\*.*?\*\//gs, '')
  return [...text.matchAll(/([^{};]+)\{/g)]
    .map(([, selectors = '']) => selectors.trim())
    .filter((selectors) => !/^(@|from|to|\d)/.test(selectors))
    .flatMap((selectors) => selectors.split(/,\s*/))
}

const classesIn = (selector: string): readonly string[] =>
  [...selector.matchAll(/\.([a-z][\w-]*)/gi)].map(([found]) => found)

const classesOf = new Map(names.map((name) => [name, new Set(selectorsOf(name).flatMap(classesIn))]))

test.each(names.filter((name) => !common.includes(name)))('each rule of %s is about its own area', (name) => {
  const isOwn = (found: string): boolean =>
    [...classesOf].every(([other, classes]) => other === name || !classes.has(found))
  expect(selectorsOf(name).filter((selector) => !classesIn(selector).some(isOwn))).toEqual([])
})
