/** The command that makes a machine part of the cluster, as `tctl nodes add` prints it, for a shell to read. */

export interface JoinCommand {
  readonly roles: readonly string[]
  readonly token: string
  readonly caPins: readonly string[]
  readonly authServer: string
  readonly labels: Readonly<Record<string, string>>
}

export function joinCommand({ roles, token, caPins, authServer, labels }: JoinCommand): string {
  const words = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  const flags = [
    `--roles=${roles.join(',')}`,
    `--token=${token}`,
    ...caPins.map((pin) => `--ca-pin=${pin}`),
    `--auth-server=${authServer}`,
    ...(words.length === 0 ? [] : [`--labels=${words.join(',')}`]),
  ]
  return ['teleport start', ...flags.map((flag) => `   ${quoted(flag)}`)].join(' \\\n')
}

/** What a shell would read as more than a word is quoted before anybody pastes it. */
const quoted = (word: string): string => (/^[\w.,@:=/+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/** Undefined, and which word it is, for what is not `key=value` or would end a list of them. */
export function labelsOf(
  words: readonly string[],
): { readonly labels: Record<string, string> } | { readonly bad: string } {
  const labels: [string, string][] = []
  for (const word of words) {
    const at = word.indexOf('=')
    if (at < 1 || word.includes(',')) return { bad: word }
    labels.push([word.slice(0, at), word.slice(at + 1)])
  }
  return { labels: Object.fromEntries(labels) }
}
