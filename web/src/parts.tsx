/** Small things that several pages are made of: what failed, what is not there, what can be copied, what is asked twice. */

import { Alert, Button, Group, Modal, Skeleton, Text, Title } from '@mantine/core'
import { type ReactNode, useEffect, useState } from 'react'
import { CopyIcon } from './icons.tsx'
import { text } from './text.ts'

const words = { copy: 'Copy', copied: 'Copied', cancel: 'Cancel' } as const

export function usePageTitle(title: string, clusterName: string): void {
  useEffect(() => {
    document.title = `${title} · ${clusterName}`
  }, [title, clusterName])
}

/** Why something did not work; with `retry`, a way to try it again. */
export function Problem({ error, retry }: { error: Error | null | undefined; retry?: () => unknown }) {
  if (error === null || error === undefined) return null
  return (
    <Alert color="red" variant="light" role="alert" my="sm" className="refusal" title={text.failed}>
      <Text size="sm" className="said">
        {error.message}
      </Text>
      {retry === undefined ? null : (
        <Button size="xs" mt="xs" variant="default" onClick={() => void retry()}>
          {text.retry}
        </Button>
      )}
    </Alert>
  )
}

/** As `Problem`, at the top of a form: the words alone. */
export const Refusal = ({ error }: { error: Error | null }) =>
  error === null ? null : (
    <Alert color="red" variant="light" role="alert" className="refusal">
      {error.message}
    </Alert>
  )

export const Empty = ({ title, hint, children }: { title: string; hint?: string; children?: ReactNode }) => (
  <div className="card nothing">
    <Title order={2} size="h4">
      {title}
    </Title>
    {hint === undefined ? null : <Text c="dimmed">{hint}</Text>}
    {children}
  </div>
)

export const Loading = ({ rows = 5 }: { rows?: number }) => (
  <div className="card loading" aria-busy="true">
    {Array.from({ length: rows }, (_, row) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
      <Skeleton key={row} height={20} my={18} mx={16} width="auto" />
    ))}
    <span className="visually-hidden">{text.loading}</span>
  </div>
)

export function CopyButton({ value, name, size = 'xs' }: { value: string; name?: string; size?: 'xs' | 'sm' }) {
  const [copied, setCopied] = useState(false)
  return (
    <Button
      size={size}
      variant="default"
      leftSection={<CopyIcon />}
      onClick={() => void navigator.clipboard.writeText(value).then(() => setCopied(true))}
    >
      {copied ? words.copied : (name ?? words.copy)}
    </Button>
  )
}

/** Asks before something that cannot be taken back; what went wrong is shown in it. */
export function Confirm(props: {
  readonly opened: boolean
  readonly title: string
  readonly children: ReactNode
  readonly action: string
  readonly busy: boolean
  readonly error: Error | null
  onConfirm(): void
  onClose(): void
}) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={props.title} centered>
      {props.children}
      <Problem error={props.error} />
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={props.onClose}>
          {words.cancel}
        </Button>
        <Button color="red.9" loading={props.busy} onClick={props.onConfirm} data-autofocus>
          {props.action}
        </Button>
      </Group>
    </Modal>
  )
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** A time as people here write it; the exact one on hovering. */
export const When = ({ time }: { time: string }) => (
  <time dateTime={time} title={time}>
    {moment.format(new Date(time))}
  </time>
)
