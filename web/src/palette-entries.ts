/** What the palette offers, and which of it a few letters mean. */

export interface Entry {
  readonly name: string
  readonly group: string
  run(): void
}

/** Those whose words all begin somewhere in the name or its group, in their order. */
export function matching<T extends Pick<Entry, 'name' | 'group'>>(entries: readonly T[], search: string): readonly T[] {
  const wanted = search.toLowerCase().split(/\s+/).filter(Boolean)
  return entries.filter(({ name, group }) => {
    const text = `${name} ${group}`.toLowerCase()
    return wanted.every((word) => text.includes(word))
  })
}
