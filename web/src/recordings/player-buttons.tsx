/** The buttons of a player that do more than one thing: its speed, copies, downloads. */

import { ActionIcon, Button, Menu, Text } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import type { PlayerAction } from '../../../src/audit/recording/play/player.ts'
import { ChevronIcon } from '../icons.tsx'
import { useLostSession } from '../session.tsx'
import { recordingsText } from '../text/recordings.ts'
import { text } from '../text.ts'
import type { Summary } from './calls.ts'
import { exportRecording, save } from './export.ts'
import { DownloadIcon } from './icons.tsx'

const words = recordingsText.player
const speeds = [0.5, 1, 1.5, 2, 4, 8, 16, 64]

export function SpeedMenu({ speed, press }: { speed: number; press(action: PlayerAction): void }) {
  return (
    <Menu position="top-end" width={110} shadow="md" withinPortal={false}>
      <Menu.Target>
        <Button
          size="xs"
          variant="default"
          className="speed"
          rightSection={<ChevronIcon />}
          aria-label={words.speedIs(speed)}
        >
          {words.times(speed)}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.RadioGroup value={String(speed)} onChange={(value) => press({ type: 'speed', speed: Number(value) })}>
          {speeds.map((one) => (
            <Menu.RadioItem key={one} value={String(one)} closeMenuOnClick>
              {words.times(one)}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
      </Menu.Dropdown>
    </Menu>
  )
}

export function CopyButton(props: { name: string; done: string; value(): string; icon: React.ReactNode }) {
  const { name, done, value, icon } = props
  const [isDone, setDone] = useState(false)
  useEffect(() => {
    if (!isDone) return
    const timer = setTimeout(() => setDone(false), 2500)
    return () => clearTimeout(timer)
  }, [isDone])
  return (
    <span className="copy-button">
      <ActionIcon
        size="lg"
        variant="subtle"
        className="quiet"
        aria-label={name}
        title={name}
        onClick={() =>
          void navigator.clipboard.writeText(value()).then(
            () => setDone(true),
            () => undefined,
          )
        }
      >
        {icon}
      </ActionIcon>
      <span role="status" className={isDone ? 'copied' : 'visually-hidden'}>
        {isDone ? done : ''}
      </span>
    </span>
  )
}

export function Download({ summary }: { summary: Summary }) {
  const [progress, setProgress] = useState<number>()
  const [problem, setProblem] = useState<{ readonly said: string; readonly error?: unknown }>()
  const running = useRef<AbortController>(undefined)
  useLostSession(problem?.error)
  useEffect(() => () => running.current?.abort(new Error('the page was left')), [])
  const start = async (format: 'cast' | 'text') => {
    const over = new AbortController()
    running.current = over
    setProblem(undefined)
    setProgress(0)
    try {
      const { file, damaged } = await exportRecording(summary, format, setProgress, over.signal)
      save(file, `${summary.sid}.${format === 'cast' ? 'cast' : 'txt'}`)
      if (damaged > 0) setProblem({ said: words.damaged(damaged) })
    } catch (error) {
      if (!over.signal.aborted) setProblem({ said: error instanceof Error ? error.message : text.failed, error })
    } finally {
      setProgress(undefined)
    }
  }
  if (progress !== undefined) {
    return (
      <Button
        size="xs"
        variant="default"
        title={words.cancel}
        onClick={() => running.current?.abort(new Error('not wanted any more'))}
      >
        {words.exporting(Math.round(progress * 100))} · {words.cancel}
      </Button>
    )
  }
  return (
    <>
      <Menu position="top-end" width={250} shadow="md" withinPortal={false}>
        <Menu.Target>
          <ActionIcon size="lg" variant="subtle" className="quiet" aria-label={words.download} title={words.download}>
            <DownloadIcon />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => void start('cast')}>{words.cast}</Menu.Item>
          <Menu.Item onClick={() => void start('text')}>{words.text}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {problem === undefined ? null : (
        <Text size="sm" role="alert" className="download-problem">
          {problem.said}
        </Text>
      )}
    </>
  )
}
