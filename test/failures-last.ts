/**
 * A reporter whose words are the last of a run that failed: which tests, where, and why in one line each. A machine that runs the
 * tests often keeps only the end of the output, and there are the long errors of the last test.
 */

import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { Reporter, TestModule } from 'vitest/node'

/** What vitest knows of an error, in whichever form. */
interface Cause {
  readonly name?: string
  readonly message?: string
  readonly stacks?: readonly { readonly file: string; readonly line: number }[]
}

export interface Failure {
  /** File and test. */
  readonly what: string
  readonly causes: readonly Cause[]
}

/** All of it is to fit into the last 4 KB of the output. */
const most = { lines: 30, characters: 3000, line: 300 }

const clip = (text: string): string => (text.length <= most.line ? text : `${text.slice(0, most.line - 1)}…`)

function describe({ what, causes }: Failure, root: string): string[] {
  const [cause] = causes
  const own = cause?.stacks?.filter(({ file }) => file.startsWith(root) && !file.includes('/node_modules/')) ?? []
  // Where in the test, not where in a helper.
  const place = own.find(({ file }) => file.endsWith('.test.ts')) ?? own[0]
  const at = place === undefined ? '' : ` (${relative(root, place.file)}:${place.line})`
  const [first, ...more] = stripVTControlCharacters(cause?.message ?? '')
    .trim()
    .split('\n')
  const why = first || cause?.name || 'no reason given'
  // What a program printed last says more than that somebody waited for it in vain.
  const last = more.at(-1)
  return [
    clip(`× ${stripVTControlCharacters(what)}`),
    `    ${clip(why)}${at}`,
    ...(last === undefined ? [] : [`    … ${clip(last)}`]),
  ]
}

/** At most 30 lines; '' when nothing failed. */
export function lastWords(failures: readonly Failure[], root: string): string {
  if (failures.length === 0) return ''
  const lines: string[] = []
  let left = most.characters
  let shown = 0
  for (const failure of failures) {
    const own = describe(failure, root)
    left -= own.join('\n').length
    if (lines.length + own.length > most.lines - 2 || left < 0) break
    lines.push(...own)
    shown++
  }
  if (shown < failures.length) lines.push(`… and ${failures.length - shown} more, above.`)
  return ['', `FAILED: ${failures.length}`, ...lines, ''].join('\n')
}

function failuresOf(modules: readonly TestModule[], loose: readonly Cause[]): Failure[] {
  const failed: Failure[] = []
  for (const module of modules) {
    const file = `${module.project.name} ${module.relativeModuleId}`
    const broken = module.errors()
    if (broken.length > 0) failed.push({ what: file, causes: broken })
    for (const suite of module.children.allSuites()) {
      const causes = suite.errors()
      if (causes.length > 0) failed.push({ what: `${file} > ${suite.fullName}`, causes })
    }
    for (const test of module.children.allTests('failed')) {
      failed.push({ what: `${file} > ${test.fullName}`, causes: test.result().errors ?? [] })
    }
  }
  return [...failed, ...loose.map((cause) => ({ what: 'outside of a test', causes: [cause] }))]
}

export class FailuresLast implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly Cause[]): void {
    const words = lastWords(failuresOf(modules, errors), process.cwd())
    // Only then have the other reporters said everything.
    if (words !== '') process.once('exit', () => process.stderr.write(words))
  }
}
