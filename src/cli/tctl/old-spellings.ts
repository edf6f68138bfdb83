/** Spellings of early versions that people's scripts still have, rewritten to the present ones. */

const oldUserCommands = new Set(['set_pass', 'upsert_key'])

/** `authorities --type=user export`, `hostca pubkey`, `token generate`, `user set_pass -user …`. Everything else as it is. */
export function oldSpellings(argv: readonly string[]): readonly string[] {
  const start = commandIndex(argv)
  return [...argv.slice(0, start), ...rewrite(argv.slice(start))]
}

const withValue = new Set(['-c', '--config', '--auth-server', '-i', '--identity'])

/** Where the options before the command end. */
function commandIndex(argv: readonly string[]): number {
  let index = 0
  while (argv[index]?.startsWith('-') === true) index += withValue.has(argv[index] ?? '') ? 2 : 1
  return Math.min(index, argv.length)
}

function rewrite(argv: readonly string[]): readonly string[] {
  const [first, second] = argv
  if (first === 'authorities') {
    const rest = argv.slice(1)
    const index = rest.indexOf('export')
    if (index >= 0) return ['auth', 'export', ...rest.slice(0, index), ...rest.slice(index + 1)]
  }
  if (first === 'hostca' && second === 'pubkey')
    return ['auth', 'export', '--type=host', '--format=openssh', ...argv.slice(2)]
  if (first === 'token' && second === 'generate') return ['tokens', 'add', '--type=node', '--quiet', ...argv.slice(2)]
  if (first === 'user' && second !== undefined && oldUserCommands.has(second)) {
    // Go's flag package of the time took one dash for long options too.
    return ['users', second, ...argv.slice(2).map((word) => word.replace(/^-(user|pass|keyid)(?==|$)/, '--$1'))]
  }
  return argv
}
