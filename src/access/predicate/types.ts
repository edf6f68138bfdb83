/**
 * The little language of conditions in roles: `contains(user.spec.traits["teams"], "db") && !equals(resource.metadata.name, "x")`.
 * As in the original; a text is parsed once into this tree, and the tree is asked as often as needed.
 */

/** What a field holds. Maps are read with `["key"]`. */
export type FieldType = 'text' | 'texts' | 'map of text' | 'map of texts'

/** The fields that exist where the condition stands, by their whole path. Everything else is refused when the role is written. */
export type Vocabulary = Readonly<Record<string, FieldType>>

export type Operand =
  | { readonly type: 'literal'; readonly text: string }
  | { readonly type: 'field'; readonly path: string; readonly holds: FieldType; readonly key?: string }

export type Predicate =
  | { readonly type: 'and' | 'or'; readonly parts: readonly Predicate[] }
  | { readonly type: 'not'; readonly part: Predicate }
  | { readonly type: 'equals' | 'contains'; readonly left: Operand; readonly right: Operand }

/** The value of a field; undefined when it is not known here. */
export type Facts = (path: string) => FactValue | undefined
export type FactValue = string | readonly string[] | Readonly<Record<string, string | readonly string[]>>
