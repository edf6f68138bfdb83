/** Watching a recording. */

import '@xterm/xterm/css/xterm.css'
import './recordings.css'
import { ActionIcon, Alert, Button, Loader, Switch, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type KeyboardEvent, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { clockTime } from '../../../src/audit/recording/play/clock-time.ts'
import { ApiError, isLoggedOut, type WebState } from '../api.ts'
import { CopyIcon } from '../icons.tsx'
import { useLostSession } from '../session.tsx'
import { recordingsText } from '../text/recordings.ts'
import { text } from '../text.ts'
import { getRecording, type Summary } from './calls.ts'
import { whenText } from './dates.ts'
import { AheadIcon, BackIcon, FullScreenIcon, LinkIcon, PauseIcon, PlayIcon } from './icons.tsx'
import { actionOf } from './keys.ts'
import { States } from './page.tsx'
import { Bar } from './player-bar.tsx'
import { CopyButton, Download, SpeedMenu } from './player-buttons.tsx'
import { linkTo, msOf, usePositionInAddress } from './position.ts'
import type { Mark } from './timeline.ts'
import { usePlayer } from './use-player.ts'

const words = recordingsText.player

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
          <Watching summary={summary} where={where} atMs={msOf(at)} isLoggedIn={user !== ''} />
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
  const isMoving = state === undefined || state.state === 'playing'
  usePositionInAddress({ atMs, positionMs: state?.positionMs ?? atMs, isMoving, press })
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
