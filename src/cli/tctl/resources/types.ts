/** What `tctl create|get|rm|edit|update` know of one kind of resource. `kinds.ts` is the table of them. */

import type { ApiClient } from '../../../api/client.ts'
import type { YamlDocument } from '../../../common/yaml.ts'

/** A resource as `tctl get` prints it. What it prints, `tctl create` takes unchanged. */
export interface Resource {
  readonly value: ResourceValue
  /** Its lines in the text form, usually one. */
  readonly rows: readonly (readonly string[])[]
}

export interface ResourceValue {
  readonly kind: string
  readonly sub_kind?: string
  readonly version: string
  /** `revision` changes with every change of the resource. */
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly revision?: string }
  readonly spec: unknown
}

export interface GetOptions {
  /** With private keys and password hashes, for a backup. */
  readonly withSecrets: boolean
}

/** `create` refuses what exists; `replace` takes both; `update` refuses what does not exist (any more). */
export type PutMode = 'create' | 'replace' | 'update'

export interface PutOptions {
  readonly mode: PutMode
  /** Only if nobody changed it since; otherwise CompareFailed. */
  readonly revision: string | undefined
  /** Also what the configuration file of the auth service says. */
  readonly confirm: boolean
}

/** A document that was read and checked, and can be sent. */
export interface Draft {
  readonly name: string
  /** For sentences: `role 'dev'`. */
  readonly title: string
  put(api: ApiClient, options: PutOptions): Promise<'created' | 'updated'>
}

export interface ResourceKind {
  /** Headings of the text form. */
  readonly headings: readonly string[]
  /** All of the kind, or those of that name. Throws NotFound when there is none of it. */
  list(api: ApiClient, name: string | undefined, options: GetOptions): Promise<readonly Resource[]>
  /** Throws BadParameter with `file:line: key: what`. A text instead says why it cannot be made by hand. */
  readonly parse: ((document: YamlDocument) => Draft) | string
  /** What happens to what is removed, for the sentence; default: has been deleted. */
  readonly removed?: string
  /** Resolves with what was removed, for the sentence. A text instead says why it cannot be removed. */
  readonly remove: ((api: ApiClient, name: string) => Promise<string>) | string
}
