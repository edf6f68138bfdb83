/** A resource as `tctl get` prints it. */

export interface Resource {
  readonly kind: string
  readonly value: Record<string, unknown>
  readonly row: readonly string[]
  /** Instead of `row`, where one resource fills several lines. */
  readonly rows?: readonly (readonly string[])[]
}
