/** What the log says of itself, and the proof of it: read whole, event by event, by the auth service. */

import { Button, Group, Progress, Text, Title } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { auth, authLines, type CallOutput, may, type routes, type WebState } from '../api.ts'
import { Problem, When } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { auditText } from '../text/audit.ts'

const words = auditText.chain
type Line = CallOutput<typeof routes.verifyEvents>

interface Verified {
  readonly line: Line
  readonly at: string
}
const verifiedKey = ['audit', 'verified'] as const

export function Chain({ state }: { state: WebState }) {
  const status = useQuery({
    queryKey: ['status'],
    queryFn: ({ signal }) => auth<typeof routes.getStatus>('GET /v1/status', {}, { signal, background: true }),
    refetchInterval: 60_000,
  })
  useLostSession(status.error)
  const audit = status.data?.audit
  return (
    <section className="card chain" aria-labelledby="chain-title">
      <Title order={2} size="h5" id="chain-title">
        {words.title}
      </Title>
      {audit === undefined ? null : (
        <Text size="sm">
          {words.head(audit.last)}
          {audit.last > audit.indexed ? ` ${words.behind(audit.last - audit.indexed)}` : ''}
        </Text>
      )}
      {audit?.damaged === true ? <Problem error={new Error(words.damaged)} /> : null}
      {audit === undefined || audit.disk === 'ok' ? null : <Problem error={new Error(words.disk[audit.disk])} />}
      {may(state.user, 'GET /v1/audit/verify') ? <Verify /> : null}
    </section>
  )
}

function Verify() {
  const client = useQueryClient()
  const { data: verified } = useQuery<Verified | null>({
    queryKey: verifiedKey,
    queryFn: () => client.getQueryData<Verified>(verifiedKey) ?? null,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
  })
  const [progress, setProgress] = useState<{ events: number; total: number }>()
  const [error, setError] = useState<Error | null>(null)
  const running = useRef<AbortController>(undefined)
  useLostSession(error)
  useEffect(() => () => running.current?.abort(), [])
  const verify = async () => {
    const stop = new AbortController()
    running.current = stop
    setError(null)
    setProgress({ events: 0, total: 0 })
    try {
      let last: Line | undefined
      for await (last of authLines<typeof routes.verifyEvents>('GET /v1/audit/verify', {}, stop.signal)) {
        setProgress({ events: last.events, total: last.total })
      }
      if (last?.result === undefined) throw new Error(words.ended)
      client.setQueryData(verifiedKey, { line: last, at: new Date().toISOString() } satisfies Verified)
    } catch (problem) {
      if (!stop.signal.aborted) setError(problem instanceof Error ? problem : new Error(String(problem)))
    } finally {
      if (running.current === stop) setProgress(undefined)
    }
  }
  return (
    <>
      <div aria-live="polite">
        {verified === null || verified === undefined ? (
          <Text size="sm" c="dimmed">
            {words.never}
          </Text>
        ) : (
          <Verdict {...verified} />
        )}
      </div>
      <Problem error={error} />
      {progress === undefined ? (
        <Button size="xs" variant="default" mt="xs" onClick={() => void verify()}>
          {words.verify}
        </Button>
      ) : (
        <Group mt="xs" gap="sm">
          <Progress
            value={progress.total === 0 ? 0 : (100 * progress.events) / progress.total}
            className="grow"
            aria-label={words.progress(progress.events, progress.total)}
          />
          <Text size="sm">{words.progress(progress.events, progress.total)}</Text>
          <Button size="xs" variant="default" onClick={() => running.current?.abort()}>
            {words.stop}
          </Button>
        </Group>
      )}
    </>
  )
}

function Verdict({ line, at }: Verified) {
  const { result, events, checkpoints, recordings, signedTo, startsAfter, head, key } = line
  const open = head.ei - signedTo
  return (
    <div className="verdict">
      {result === null ? (
        <Text size="sm" fw={600} className="good">
          ✓ {words.good(head.ei)}
        </Text>
      ) : (
        <Problem error={new Error(`${words.bad}: ${result?.message ?? ''}`)} />
      )}
      <Text size="sm" c="dimmed">
        <When time={at} /> · {words.proof(events, checkpoints, recordings)}
        {open > 0 ? ` · ${words.open(open)}` : ''}
        {startsAfter > 0 ? ` · ${words.cut(startsAfter)}` : ''}
      </Text>
      <details>
        <summary>
          {words.head2}, {words.key}
        </summary>
        <code className="mono break">
          {head.ei}:{head.hash}
        </code>
        <br />
        <code className="mono break">{key}</code>
      </details>
    </div>
  )
}
