/** What the address of a part of the administration may say. */

export interface AdminSearch {
  readonly kind?: string
  readonly name?: string
  readonly user?: string
  readonly login?: string
  readonly node?: string
  readonly search?: string
}

const keys = ['kind', 'name', 'user', 'login', 'node', 'search'] as const

export function readAdminSearch(search: Readonly<Record<string, unknown>>): AdminSearch {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = typeof search[key] === 'number' ? String(search[key]) : search[key]
      return typeof value === 'string' && value !== '' && value.length <= 256 ? [[key, value]] : []
    }),
  )
}
