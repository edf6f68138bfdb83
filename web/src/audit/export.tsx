/** The log as a file that proves itself: the lines of the API, put together here. */

import { Button, Text } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import { authLines, type routes } from '../api.ts'
import { Problem } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { auditText } from '../text/audit.ts'

const words = auditText

export function Export({ query }: { query: () => Readonly<Record<string, string>> }) {
  const [progress, setProgress] = useState<{ done: number; total: number }>()
  const [error, setError] = useState<Error | null>(null)
  const running = useRef<AbortController>(undefined)
  useLostSession(error)
  useEffect(() => () => running.current?.abort(), [])
  const run = async () => {
    const stop = new AbortController()
    running.current = stop
    setError(null)
    setProgress({ done: 0, total: 0 })
    try {
      // Of the browser's own, which keeps large ones on its disk.
      let file = new Blob([])
      let done = 0
      let last = ''
      const stream = authLines<typeof routes.exportEvents>('GET /v1/audit/export', { query: query() }, stop.signal)
      for await (const { lines, total } of stream) {
        file = new Blob([file, `${lines.join('\n')}\n`])
        done += lines.length
        last = lines.at(-1) ?? last
        setProgress({ done, total })
      }
      if (!last.startsWith('{"end":')) throw new Error(words.chain.ended)
      save(file, `audit-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}.jsonl`)
    } catch (problem) {
      if (!stop.signal.aborted) setError(problem instanceof Error ? problem : new Error(String(problem)))
    } finally {
      if (running.current === stop) setProgress(undefined)
    }
  }
  return (
    <>
      <Button
        size="xs"
        variant="default"
        loading={progress !== undefined}
        onClick={() => void run()}
        title={words.exportHint}
      >
        {words.export}
      </Button>
      {progress === undefined ? null : (
        <Text size="sm" aria-live="polite">
          {words.exporting(progress.done, Math.max(progress.done, progress.total))}
        </Text>
      )}
      <Problem error={error} />
    </>
  )
}

function save(file: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
