/** The terminal of one who joined a session, with who is in it and what a moderator can do. Whoever closes its tab leaves. */

import { Badge, Button, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import { useEffect, useRef, useState } from 'react'
import { currentToken } from '../api.ts'
import { stateKey } from '../session.tsx'
import { getSession, type Mode } from '../sessions/calls.ts'
import { type Moderate, Moderation } from '../sessions/moderation.tsx'
import { People } from '../sessions/people.tsx'
import { sessionsText as words } from '../text/sessions.ts'
import { TerminalConnection } from './connection.ts'
import { Ended } from './ended.tsx'
import type { Joined } from './kept.ts'
import { lastWords } from './last-words.ts'
import { usePreferences } from './preferences.ts'
import type { Pane } from './tabs.ts'
import { themes } from './themes.ts'

const encoder = new TextEncoder()
const scrollback = 10_000
/** Milliseconds. */
const askEvery = 3_000
const hints: Readonly<Record<Mode, string>> = {
  peer: words.typing,
  observer: words.onlyWatching,
  moderator: words.moderating,
}
export function JoinedView(props: {
  pane: Pane
  joined: Joined
  label: string
  user: string
  isActive: boolean
  events: { onLatency(ms: number): void; onBell(): void; onUse(): void; onOver(isOver: boolean): void; onLeave(): void }
}) {
  const { label, isActive } = props
  const { node, isBack = false } = props.pane
  const { sid, mode } = props.joined
  const client = useQueryClient()
  const latest = useRef(props.events)
  latest.current = props.events
  const [moderate, setModerate] = useState<Moderate>()
  const { fontSize, theme } = usePreferences()
  const place = useRef<HTMLDivElement>(null)
  const shown = useRef<{ terminal: Terminal; fit: FitAddon }>(undefined)
  const look = useRef({ fontSize, theme })
  look.current = { fontSize, theme }
  const [attempt, setAttempt] = useState(0)
  const [end, setEnd] = useState<string>()
  const [refusal, setRefusal] = useState('')

  // biome-ignore lint/correctness/useExhaustiveDependencies: `attempt` starts it anew
  useEffect(() => {
    const parent = place.current
    if (parent === null) return
    const terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: mode === 'peer',
      // The node drops what others type; here it does not even leave the page.
      disableStdin: true,
      fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: look.current.fontSize,
      theme: themes[look.current.theme] ?? {},
      scrollback,
      minimumContrastRatio: 4.5,
      linkHandler: { activate: () => undefined },
    })
    const fit = new FitAddon()
    terminal.loadAddon(fit)
    terminal.open(parent)
    terminal.textarea?.setAttribute('aria-label', label)
    fit.fit()
    terminal.write(`\x1b[2m${words.connecting}\x1b[0m\r\n`)
    shown.current = { terminal, fit }
    let isIn = false
    const connection = new TerminalConnection({
      node,
      login: '',
      join: { sid, mode },
      columns: terminal.cols,
      rows: terminal.rows,
      csrfToken: currentToken(),
      onOutput: (bytes, drawn) => {
        // Who is refused hears only why.
        isIn = true
        terminal.write(bytes, drawn)
      },
      onReady: () => {
        latest.current.onOver(false)
        terminal.reset()
        terminal.options.disableStdin = mode !== 'peer'
        if (mode === 'moderator') setModerate(() => (action: Parameters<Moderate>[0]) => connection.moderate(action))
      },
      onSession: () => undefined,
      onLatency: (ms) => latest.current.onLatency(ms),
      onRefused: (message) => setRefusal(message),
      onEnd: (message) => {
        const said = message === undefined ? words.lost : isBack && !isIn ? words.notBack(message) : message
        // Who only lost the connection may join again, after a reload of the page too.
        if (message !== undefined) latest.current.onOver(true)
        // It may have ended with the login.
        void client.invalidateQueries({ queryKey: stateKey })
        terminal.write(lastWords(said))
        terminal.options.disableStdin = true
        setModerate(undefined)
        setEnd(said)
      },
    })
    terminal.onData((typed) => connection.write(encoder.encode(typed)))
    terminal.onBinary((bytes) =>
      connection.write(Uint8Array.from(bytes, (character) => character.charCodeAt(0) & 0xff)),
    )
    terminal.onBell(() => latest.current.onBell())
    terminal.textarea?.addEventListener('focus', () => latest.current.onUse())
    terminal.onResize(({ cols, rows }) => connection.resize(cols, rows))
    const observer = new ResizeObserver(() => {
      if (parent.offsetWidth > 0) fit.fit()
    })
    observer.observe(parent)
    return () => {
      observer.disconnect()
      connection.close()
      terminal.dispose()
      shown.current = undefined
      setModerate(undefined)
    }
  }, [sid, node, mode, label, isBack, client, attempt])

  useEffect(() => {
    const { terminal, fit } = shown.current ?? {}
    if (terminal === undefined) return
    terminal.options.fontSize = fontSize
    terminal.options.theme = themes[theme] ?? {}
    fit?.fit()
  }, [fontSize, theme])

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt is typed in too
  useEffect(() => {
    if (isActive) shown.current?.terminal.focus()
  }, [isActive, attempt])

  const { data } = useQuery({
    queryKey: ['session', props.user, sid],
    queryFn: ({ signal }) => getSession(sid, signal),
    refetchInterval: askEvery,
    enabled: isActive && end === undefined,
    retry: false,
  })
  const background = themes[theme]?.background ?? '#000'
  return (
    <section className="joined" aria-label={label}>
      <div className="joined-head">
        <Text size="sm" c="dimmed">
          {end === undefined ? hints[mode] : ''}
        </Text>
        {data === undefined || end !== undefined ? null : <People session={data} />}
        {data === undefined || data.state === 'running' || end !== undefined ? null : (
          <Badge className="state">{words.states[data.state]}</Badge>
        )}
        <div className="session-actions">
          {moderate === undefined ? null : (
            <Moderation user={props.joined.user} isPaused={data?.state === 'paused'} moderate={moderate} />
          )}
          <Button size="xs" variant="default" onClick={() => latest.current.onLeave()}>
            {words.leave}
          </Button>
        </div>
        {refusal === '' ? null : (
          <Text size="sm" role="alert" className="session-refusal">
            {refusal}
          </Text>
        )}
      </div>
      <div className="joined-screen" style={{ background }}>
        <div className="screen" ref={place} />
        {end === undefined ? null : (
          <Ended
            why={end}
            again={words.again}
            onAgain={() => {
              setEnd(undefined)
              setAttempt((before) => before + 1)
            }}
          />
        )}
      </div>
    </section>
  )
}
