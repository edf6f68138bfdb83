/** A choice of how long something is good, in seconds; `''` for ever where that is possible. */

import { NativeSelect } from '@mantine/core'
import { adminText } from '../text/admin.ts'

type Known = keyof typeof adminText.durations

export function DurationSelect(props: {
  readonly label: string
  readonly value: string
  readonly choices: readonly Known[]
  /** What no end is called. */
  readonly forever?: string
  onChange(seconds: string): void
}) {
  return (
    <NativeSelect
      label={props.label}
      value={props.value}
      onChange={(event) => props.onChange(event.currentTarget.value)}
      data={[
        ...(props.forever === undefined ? [] : [{ value: '', label: props.forever }]),
        ...props.choices.map((seconds) => ({ value: String(seconds), label: adminText.durations[seconds] })),
      ]}
    />
  )
}

/** The moment so many seconds from now; undefined for ''. */
export const momentIn = (seconds: string): string | undefined =>
  seconds === '' ? undefined : new Date(Date.now() + Number(seconds) * 1000).toISOString()
