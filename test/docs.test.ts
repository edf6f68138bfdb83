/** What the pages say about the repository itself: every link leads somewhere, every package is explained. */

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { succeed } from './run.ts'

const root = resolve(import.meta.dirname, '..')
const files = (await succeed('git', ['-C', root, 'ls-files', '--cached', '--others', '--exclude-standard', '*.md']))
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)))

/** As GitHub makes them from headings. */
const anchors = (text: string): readonly string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

test.each(files)('the links in %s lead somewhere', (file) => {
  const text = readFileSync(join(root, file), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '')
  const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? join(root, file) : join(root, dirname(file), path)
      if (!existsSync(target)) return true
      return anchor !== undefined && !anchors(readFileSync(target, 'utf8')).includes(anchor)
    })
  expect(broken).toEqual([])
})

test('docs/dependencies.md explains exactly the packages of package.json', () => {
  const page = readFileSync(join(root, 'docs/dependencies.md'), 'utf8')
  const explained = [...page.matchAll(/^\| (`.+?) \|/gm)].flatMap(([, names = '']) =>
    [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )
  const { dependencies, devDependencies, optionalDependencies } = packageJson
  const present = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
  const covers = (name: string) => (one: string) =>
    one === name || (name.endsWith('*') && one.startsWith(name.slice(0, -1)))
  expect(present.filter((one) => !explained.some((name) => covers(name)(one)))).toEqual([])
  expect(explained.filter((name) => !present.some(covers(name)))).toEqual([])
})

test('every decision is in the index', () => {
  const index = readFileSync(join(root, 'docs/decisions/README.md'), 'utf8')
  const records = files.filter((file) => /^docs\/decisions\/(?!README)/.test(file))
  expect(records.filter((file) => !index.includes(`(${file.slice('docs/decisions/'.length)})`))).toEqual([])
})
