/** The terminal of one who joined a session. It takes part as long as it is shown: who goes to another page leaves. */

import { Button, Text } from '@mantine/core'
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import { useEffect, useRef, useState } from 'react'
import { currentToken } from '../api.ts'
import { TerminalConnection } from '../terminal/connection.ts'
import { usePreferences } from '../terminal/preferences.ts'
import { themes } from '../terminal/themes.ts'
import { sessionsText as words } from '../text/sessions.ts'
import type { Mode, OpenSession } from './calls.ts'

export type Moderate = (action: 'pause' | 'resume' | 'end') => void

const encoder = new TextEncoder()
const scrollback = 10_000
const hints: Readonly<Record<Mode, string>> = {
  peer: words.typing,
  observer: words.onlyWatching,
  moderator: words.moderating,
}
/** What the proxy and the node say holds names that others chose. */
const printable = (said: string): string => said.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')

export function JoinedTerminal(props: {
  session: Pick<OpenSession, 'sid' | 'serverId'>
  mode: Mode
  label: string
  onModerate(moderate: Moderate | undefined): void
}) {
  const { session, mode, label, onModerate } = props
  const { sid, serverId } = session
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
    const connection = new TerminalConnection({
      node: serverId,
      login: '',
      join: { sid, mode },
      columns: terminal.cols,
      rows: terminal.rows,
      csrfToken: currentToken(),
      onOutput: (bytes, drawn) => terminal.write(bytes, drawn),
      onReady: () => {
        terminal.reset()
        terminal.options.disableStdin = mode !== 'peer'
        if (mode === 'peer') terminal.focus()
        if (mode === 'moderator') onModerate((action) => connection.moderate(action))
      },
      onSession: () => undefined,
      onLatency: () => undefined,
      onRefused: (message) => setRefusal(message),
      onEnd: (message) => {
        const said = message ?? words.lost
        terminal.write(`\x1b[?1049l\x1b[0m\r\n\x1b[2m── ${printable(said)} ──\x1b[0m\r\n`)
        terminal.options.disableStdin = true
        onModerate(undefined)
        setEnd(said)
      },
    })
    terminal.onData((typed) => connection.write(encoder.encode(typed)))
    terminal.onBinary((bytes) =>
      connection.write(Uint8Array.from(bytes, (character) => character.charCodeAt(0) & 0xff)),
    )
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
      onModerate(undefined)
    }
  }, [sid, serverId, mode, label, onModerate, attempt])

  useEffect(() => {
    const { terminal, fit } = shown.current ?? {}
    if (terminal === undefined) return
    terminal.options.fontSize = fontSize
    terminal.options.theme = themes[theme] ?? {}
    fit?.fit()
  }, [fontSize, theme])

  return (
    <section className="joined" aria-label={label}>
      <Text size="sm" c="dimmed" mb="xs">
        {hints[mode]}
      </Text>
      <div className="joined-screen" style={{ background: themes[theme]?.background ?? '#000' }}>
        <div className="terminal-place" ref={place} />
      </div>
      {refusal === '' ? null : (
        <Text size="sm" role="alert" className="session-refusal">
          {refusal}
        </Text>
      )}
      {end === undefined ? null : (
        <div className="joined-end" role="status">
          <Text size="sm">{end}</Text>
          <Button
            size="xs"
            onClick={() => {
              setEnd(undefined)
              setAttempt((before) => before + 1)
            }}
          >
            {words.again}
          </Button>
        </div>
      )}
    </section>
  )
}
