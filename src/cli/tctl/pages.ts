/** Reads listings to their end. */

interface Page<T> {
  readonly items: readonly T[]
  readonly next?: string | undefined
}

/** All items of a paged endpoint. */
export async function allPages<T>(read: (query: { after?: string }) => Promise<Page<T>>): Promise<T[]> {
  const all: T[] = []
  let page = await read({})
  all.push(...page.items)
  while (page.next !== undefined) {
    page = await read({ after: page.next })
    all.push(...page.items)
  }
  return all
}
