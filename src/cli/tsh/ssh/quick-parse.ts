/**
 * Reads the ordinary forms of `tsh ssh` and `tsh scp` without loading commander. Anything it does not understand it leaves to commander,
 * which has the better words for mistakes; so it never reports an error itself.
 */

import { type OptionSpec, OptionValues } from '../../common/spec.ts'
import { globalOptions } from '../globals.ts'

interface Known {
  readonly key: string
  readonly takesValue: boolean
  readonly repeat: boolean
}

const camel = (text: string): string => text.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

function index(specs: readonly OptionSpec[]): ReadonlyMap<string, Known> {
  const found = new Map<string, Known>()
  for (const spec of specs) {
    const long = /--([\w-]+)/.exec(spec.flags)?.[1]
    if (long === undefined || spec.choices !== undefined) continue
    // `--no-x` is commander's negation; only commander handles it, apart from the one below.
    if (long.startsWith('no-')) continue
    const known = { key: camel(long), takesValue: spec.flags.includes('<'), repeat: spec.repeat === true }
    found.set(`--${long}`, known)
    const short = /^(-\w),/.exec(spec.flags)?.[1]
    if (short !== undefined) found.set(short, known)
  }
  found.set('-N', { key: 'noRemoteExec', takesValue: false, repeat: false })
  return found
}

/** Options and arguments; undefined when commander must have a look. Parsing stops at the first plain argument. */
export function quickParse(
  specs: readonly OptionSpec[],
  argv: readonly string[],
): { readonly options: OptionValues; readonly args: readonly string[] } | undefined {
  const known = index(specs)
  const values = new Map<string, unknown>()
  let position = 0
  for (; position < argv.length; position++) {
    const word = argv[position] ?? ''
    if (word === '--' || word === '-') return undefined
    if (!word.startsWith('-')) break
    const equals = word.startsWith('--') ? word.indexOf('=') : -1
    const name = equals < 0 ? word : word.slice(0, equals)
    const option = known.get(name)
    if (option === undefined) return undefined
    if (!option.takesValue) {
      if (equals >= 0) return undefined
      values.set(option.key, true)
      continue
    }
    const value = equals >= 0 ? word.slice(equals + 1) : argv[++position]
    if (value === undefined) return undefined
    if (option.repeat) {
      const before = values.get(option.key)
      values.set(option.key, Array.isArray(before) ? [...before, value] : [value])
    } else values.set(option.key, value)
  }
  const args = argv.slice(position)
  // A lone `-- command` after the host, and anything that asks for help, is commander's.
  if (args.length === 0 || args[1] === '--') return undefined
  return { options: new OptionValues(values), args }
}

/**
 * `-i id ssh host` as `-i id host`: options of the program count before the command as well as after it. Undefined when the
 * command is another one.
 */
export function afterCommand(command: string, argv: readonly string[]): readonly string[] | undefined {
  const parsed = quickParse(globalOptions, argv)
  if (parsed?.args[0] !== command) return undefined
  const before = argv.slice(0, argv.length - parsed.args.length)
  return [...before, ...parsed.args.slice(1)]
}
