/** Watching a recording. */

import '@xterm/xterm/css/xterm.css'
import './recordings.css'
import { ActionIcon, Alert, Button, Loader, Menu, Switch, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { clockTime } from '../../../src/audit/recording/play/clock-time.ts'
import type { PlayerAction } from '../../../src/audit/recording/play/player.ts'
import { ApiError, isLoggedOut, type WebState } from '../api.ts'
import { ChevronIcon, CopyIcon } from '../icons.tsx'
import { useLostSession } from '../session.tsx'
import { recordingsText } from '../text/recordings.ts'
import { text } from '../text.ts'
import { getRecording, type Summary } from './calls.ts'
import { whenText } from './dates.ts'
import { exportRecording, save } from './export.ts'
import { AheadIcon, BackIcon, DownloadIcon, FullScreenIcon, LinkIcon, PauseIcon, PlayIcon } from './icons.tsx'
import { actionOf } from './keys.ts'
import { States } from './page.tsx'
import type { Mark, Timeline } from './timeline.ts'
import { usePlayer } from './use-player.ts'

const words = recordingsText.player
const speeds = [0.5, 1, 1.5, 2, 4, 8, 16, 64]
/** Milliseconds that a position is kept before it is written into the address. */
const settle = 400
const parts = 160

export function PlayerPage({ state, sid, at }: { state: WebState; sid: string; at: number }) {
  const user = state.user?.name ?? ''
  const query = useQuery({
    queryKey: ['recording', user, sid],
    queryFn: ({ signal }) => getRecording(sid, signal),
    enabled: user !== '',
    refetchOnWindowFocus: false,
  })
  useLostSession(query.error)
  const summary = query.data
  const where = summary === undefined ? '' : recordingsText.who(summary.user, summary.login, summary.serverHostname)
  useEffect(() => {
    document.title = `${where === '' ? recordingsText.title : where} · ${state.clusterName}`
  }, [where, state.clusterName])
  return (
    <div className="page player-page">
      <Link to="/web/recordings" className="back">
        ← {words.back}
      </Link>
      {query.isPending && query.error === null ? <Loader aria-label={text.loading} m="xl" /> : null}
      {query.error === null ? null : (
        <Alert color="red" variant="light" role="alert" mt="md" className="refusal" title={text.failed}>
          <Text size="sm">
            {query.error instanceof ApiError && query.error.status === 404 ? words.gone : query.error.message}
          </Text>
          <Button size="xs" mt="xs" variant="default" onClick={() => void query.refetch()}>
            {text.retry}
          </Button>
        </Alert>
      )}
      {summary === undefined ? null : (
        <>
          <div className="player-head">
            <Title order={1} size="h3">
              {where}
            </Title>
            <States recording={summary} />
          </div>
          <Watching summary={summary} where={where} atMs={at * 1000} isLoggedIn={user !== ''} />
        </>
      )}
    </div>
  )
}

function Watching(props: { summary: Summary; where: string; atMs: number; isLoggedIn: boolean }) {
  const { summary, where, atMs, isLoggedIn } = props
  const section = useRef<HTMLElement>(null)
  const stage = useRef<HTMLDivElement>(null)
  const {
    state,
    timeline,
    known,
    error,
    press,
    text: shownText,
    again,
  } = usePlayer(stage, summary, {
    label: words.screen(where),
    atMs,
  })
  const [isFull, setFull] = useState(false)
  useLostSession(error)
  usePositionInAddress(state?.positionMs ?? atMs, state === undefined || state.state === 'playing')
  useEffect(() => {
    section.current?.focus({ preventScroll: true })
    const changed = () => setFull(document.fullscreenElement !== null)
    document.addEventListener('fullscreenchange', changed)
    return () => document.removeEventListener('fullscreenchange', changed)
  }, [])
  // Whoever logged in again goes on where they were.
  useEffect(() => {
    if (isLoggedIn && isLoggedOut(error)) again()
  }, [isLoggedIn, error, again])
  const toggleFull = useCallback(() => {
    if (document.fullscreenElement !== null) void document.exitFullscreen()
    else void section.current?.requestFullscreen().catch(() => undefined)
  }, [])
  const onKeyDown = (event: KeyboardEvent) => {
    const { target } = event
    if (!(target instanceof HTMLElement) || target.closest('[role=menu]') !== null) return
    // What has the focus takes its own keys.
    if ([' ', 'Enter'].includes(event.key) && target.closest('button, a, input[type=checkbox]') !== null) return
    const action = actionOf(event)
    if (action === undefined) return
    event.preventDefault()
    if (action === 'full') toggleFull()
    else press(action)
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: `known` tells that the timeline has more
  const marks = useMemo(() => timeline.marks(summary), [timeline, summary, known])
  const durationMs = Math.max(state?.durationMs ?? 0, summary.durationMs)
  const isPlaying = state?.state === 'playing' || state?.state === 'seeking'
  const failure = error === undefined || isLoggedOut(error) ? undefined : error
  return (
    <>
      <section
        className="player"
        aria-label={words.region}
        ref={section}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: keys work where the focus is
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        <div className="stage" ref={stage} />
        {failure === undefined ? null : (
          <Alert color="red" variant="light" role="alert" className="refusal player-alert" title={text.failed}>
            <Text size="sm">{failure instanceof Error ? failure.message : String(failure)}</Text>
            <Button size="xs" mt="xs" variant="default" onClick={again}>
              {text.retry}
            </Button>
          </Alert>
        )}
        <p className="player-note" role="status">
          {state?.note === undefined || !state.noticed ? '' : state.note}
        </p>
        <Bar
          positionMs={state?.positionMs ?? atMs}
          durationMs={durationMs}
          marks={marks}
          timeline={timeline}
          known={known}
          press={press}
        />
        <div className="player-controls">
          <ActionIcon
            size="lg"
            aria-label={isPlaying ? words.pause : state?.state === 'at the end' ? words.again : words.play}
            onClick={() => press({ type: 'pause' })}
          >
            {isPlaying ? <PauseIcon /> : <PlayIcon />}
          </ActionIcon>
          <ActionIcon
            size="lg"
            variant="subtle"
            className="quiet"
            aria-label={words.backward}
            onClick={() => press({ type: 'seek', by: -10_000 })}
          >
            <BackIcon />
          </ActionIcon>
          <ActionIcon
            size="lg"
            variant="subtle"
            className="quiet"
            aria-label={words.forward}
            onClick={() => press({ type: 'seek', by: 10_000 })}
          >
            <AheadIcon />
          </ActionIcon>
          <span className="player-time" data-testid="position">
            {clockTime(state?.positionMs ?? atMs)} / {clockTime(durationMs)}
          </span>
          <span className="player-state" aria-live="polite">
            {state?.state === 'seeking' ? words.seeking : ''}
          </span>
          <span className="player-gap" />
          <Switch
            size="sm"
            label={words.skipIdle}
            checked={state?.skipIdle ?? false}
            onChange={() => press({ type: 'idle' })}
          />
          <SpeedMenu speed={state?.speed ?? 1} press={press} />
          <CopyButton name={words.copy} done={words.copied} value={shownText} icon={<CopyIcon />} />
          <CopyButton
            name={words.share}
            done={words.shared}
            value={() => linkTo(summary.sid, state?.positionMs ?? 0)}
            icon={<LinkIcon />}
          />
          <Download summary={summary} />
          <ActionIcon
            size="lg"
            variant="subtle"
            className="quiet"
            aria-label={isFull ? words.leaveFullScreen : words.fullScreen}
            onClick={toggleFull}
          >
            <FullScreenIcon />
          </ActionIcon>
        </div>
      </section>
      <div className="player-below">
        <section className="card player-card" aria-label={words.marks}>
          <Title order={2} size="h5">
            {words.marks}
          </Title>
          {marks.length === 0 ? (
            <Text size="sm" c="dimmed">
              {words.noMarks}
            </Text>
          ) : (
            <ol className="marks">
              {marks.map((mark) => (
                <li key={`${mark.atMs} ${mark.text}`}>
                  <button type="button" onClick={() => press({ type: 'to', atMs: mark.atMs })}>
                    <span className="visually-hidden">{words.goTo}</span>
                    <span className="hit-time">{clockTime(mark.atMs)}</span>
                    <span className="hit-text">{textOf(mark)}</span>
                  </button>
                </li>
              ))}
            </ol>
          )}
        </section>
        <section className="card player-card">
          <Facts summary={summary} />
          <details className="key-help">
            <summary>{words.keys}</summary>
            <dl>
              {words.keyHelp.map(([key, does]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </details>
        </section>
      </div>
    </>
  )
}

const textOf = (mark: Mark): string => (mark.kind === 'resize' ? words.resized(mark.text) : mark.text)

const linkTo = (sid: string, positionMs: number): string =>
  `${location.origin}/web/recordings/${sid}?at=${Math.floor(positionMs / 1000)}`

/** Where it stands still is in the address: a reload, a bookmark and the button "back" lead there. */
function usePositionInAddress(positionMs: number, isMoving: boolean): void {
  const navigate = useNavigate()
  useEffect(() => {
    if (isMoving) return
    const timer = setTimeout(() => {
      const at = Math.round(positionMs / 100) / 10
      void navigate({ to: '.', search: at > 0 ? { at } : {}, replace: true, resetScroll: false })
    }, settle)
    return () => clearTimeout(timer)
  }, [positionMs, isMoving, navigate])
}

function Bar(props: {
  positionMs: number
  durationMs: number
  marks: readonly Mark[]
  timeline: Timeline
  known: number
  press(action: PlayerAction): void
}) {
  const { positionMs, durationMs, marks, timeline, known, press } = props
  // biome-ignore lint/correctness/useExhaustiveDependencies: `known` tells that the timeline has more
  const activity = useMemo(() => timeline.activity(durationMs, parts), [timeline, durationMs, known])
  const length = Math.max(1, durationMs)
  const part = (ms: number) => (Math.min(ms, length) / length) * parts
  return (
    <div className="player-bar">
      <svg viewBox={`0 0 ${parts} 20`} preserveAspectRatio="none" aria-hidden="true">
        {activity.map((height, index) =>
          height === 0 ? null : (
            // biome-ignore lint/suspicious/noArrayIndexKey: parts of a line have no other name
            <rect key={index} x={index} width="0.8" y={20 - height * 14} height={height * 14} className="active" />
          ),
        )}
        <rect x="0" y="0" width={part(positionMs)} height="20" className="played" />
        {marks.map((mark) => (
          <rect
            key={`${mark.atMs} ${mark.text}`}
            x={part(mark.atMs)}
            y="0"
            width="0.6"
            height="20"
            className={mark.kind}
          />
        ))}
      </svg>
      <input
        type="range"
        min={0}
        max={length}
        step={100}
        value={Math.min(positionMs, length)}
        aria-label={words.position}
        aria-valuetext={words.of(clockTime(positionMs), clockTime(durationMs))}
        onChange={(event) => press({ type: 'to', atMs: event.currentTarget.valueAsNumber })}
      />
    </div>
  )
}

function SpeedMenu({ speed, press }: { speed: number; press(action: PlayerAction): void }) {
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

function CopyButton(props: { name: string; done: string; value(): string; icon: React.ReactNode }) {
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

function Download({ summary }: { summary: Summary }) {
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

function Facts({ summary }: { summary: Summary }) {
  const { user, participants, started, durationMs, command, columns, rows } = summary
  const facts = [
    [words.facts.started, whenText(started)],
    [words.facts.duration, clockTime(durationMs)],
    [words.facts.command, command ?? recordingsText.shell],
    [words.facts.people, [...new Set([user, ...participants])].join(', ')],
    [words.facts.size, `${columns} × ${rows}`],
  ] as const
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div className="fact" key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
