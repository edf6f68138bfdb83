/** What the values of teleport.yaml are made of: each kind of value once, and the words for what is known and not available. */

import { z } from 'zod'
import { type Address, type AddressOptions, parseAddress } from '../common/address.ts'
import { type DurationOptions, parseDuration } from '../common/durations.ts'
import { checkName } from '../common/names.ts'
import { parsedBy, show, yamlBool, yamlString } from '../common/yaml.ts'
import { BadParameter } from '../errors/errors.ts'

export const LATER = 'not available in this version'
export const OTHER =
  "belongs to a protocol other than SSH, which this product does not serve; remove it or set 'enabled: no'"

export const other = (...keys: readonly string[]): Record<string, string> =>
  Object.fromEntries(keys.map((key) => [key, OTHER]))
export const later = (...keys: readonly string[]): Record<string, string> =>
  Object.fromEntries(keys.map((key) => [key, LATER]))

/** Empty text and an empty key mean "not set", as in the original. */
export const unset = <Output>(schema: z.ZodType<Output>) =>
  z.preprocess((value) => (value === null || value === '' ? undefined : value), schema.optional()).optional()

export const section = <Output>(schema: z.ZodType<Output>) => z.preprocess((value) => value ?? {}, schema).optional()
export const list = <Output>(schema: z.ZodType<Output>) =>
  z
    .preprocess(
      (value) => (value === null || value === '' ? [] : Array.isArray(value) ? value : [value]),
      z.array(schema).max(1000),
    )
    .optional()

export const text = unset(yamlString)
export const bool = unset(yamlBool)
export const address = (options: AddressOptions) => parsedBy((value): Address => parseAddress(value, options))
export const listen = (port: number) => unset(address({ defaultPort: port, listen: true }))
export const publicAddr = list(parsedBy((value): { host: string; port?: number } => parsePublic(value)))
export const duration = (options: DurationOptions) =>
  unset(parsedBy((value) => parseDuration(value, { name: 'duration', ...options })))
/** Of a login in a browser. Nothing is for ever: an unattended screen is somebody else's way in. */
export const webIdleTimeout = () =>
  unset(
    parsedBy((value) => {
      const ms = parseDuration(value, { name: 'web_idle_timeout' })
      if (ms < 60_000 || ms > 86_400_000) throw new BadParameter('web_idle_timeout', 'must be 1m to 24h')
      return ms
    }),
  )
/** So short that it must be a mistake is refused: what it removes does not come back. */
export const retention = () =>
  unset(
    z.preprocess(
      (value) => (value === 'never' ? '0' : value),
      parsedBy((value) => {
        const ms = parseDuration(value, { name: 'duration' })
        if (ms === 0 || ms >= 86_400_000) return ms
        throw new BadParameter('duration', 'must be at least 24h (or never)')
      }),
    ),
  )
export const count = (min: number) =>
  unset(
    z.coerce
      .number()
      .int()
      .min(min, { message: `must be at least ${min}` })
      .max(1e9),
  )
export const refuse = <Output>(schema: z.ZodType<Output>, accepted: (value: Output) => boolean, message = LATER) =>
  unset(schema.refine(accepted, { message }))

export function parsePublic(value: string): { host: string; port?: number } {
  const { host, port } = parseAddress(value, { defaultPort: 0 })
  return port === 0 ? { host } : { host, port }
}

/** A section that is accepted as long as it is switched off. */
export const switchedOff = (message: string) =>
  z
    .unknown()
    .transform((value, context) => {
      if (value === null || value === undefined) return undefined
      const enabled = typeof value === 'object' && 'enabled' in value ? value.enabled : value
      const off = yamlBool.safeParse(enabled)
      if (!off.success || off.data) context.addIssue({ code: 'custom', message })
      return undefined
    })
    .optional()

/** Label names and values; a record without prototype, since `__proto__` would be a name like any other. */
export const labels = z
  .unknown()
  .transform((input, context): Readonly<Record<string, string>> => {
    const result: Record<string, string> = Object.create(null)
    if (input === null || input === undefined) return result
    if (typeof input !== 'object' || Array.isArray(input)) {
      context.addIssue({ code: 'custom', message: `must be a section of label: value, not ${show(input)}` })
      return z.NEVER
    }
    for (const [name, value] of Object.entries(input)) {
      try {
        if (typeof value === 'object') throw new BadParameter(name, `must be a text, not ${show(value)}`)
        result[checkName('label name', name)] = checkName('label value', String(value))
      } catch (error) {
        context.addIssue({
          code: 'custom',
          path: [name],
          message: error instanceof Error ? error.message : String(error),
        })
      }
    }
    return result
  })
  .optional()
