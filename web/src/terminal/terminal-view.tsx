/** One terminal: a screen on a connection that lasts, its search, and what is said when it was lost or has ended. */

import { Button, Group, Loader, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { stateKey } from '../session.tsx'
import { words } from '../text/terminal.ts'
import { permissionOf, readClipboardWrite, setPermission } from './clipboard.ts'
import { Ended } from './ended.tsx'
import { asBefore, lastWords } from './last-words.ts'
import { type End, LastingConnection } from './lasting.ts'
import { usePreferences } from './preferences.ts'
import { openScreen, type Screen } from './screen.ts'
import { SearchBar } from './search-bar.tsx'
import type { Pane } from './tabs.ts'
import { themes } from './themes.ts'
import { upload } from './transfers.ts'

const encoder = new TextEncoder()
/** Milliseconds that a bell is seen. */
const bellTime = 250

export interface TerminalEvents {
  onLatency(ms: number): void
  onSession(sid: string | undefined): void
  onBell(): void
  onUse(): void
  /** Files were dropped on it. */
  onDrop(): void
}

function wordsOf(end: End): string {
  switch (end.kind) {
    case 'ended':
      return end.message
    case 'short':
      return words.short
    case 'gone':
      return end.message === undefined ? words.gone : words.goneBecause(end.message)
  }
}

export function TerminalView({
  pane,
  user,
  isActive,
  events,
}: {
  pane: Pane
  user: string
  /** It is shown, and the one that is typed in. */
  isActive: boolean
  events: TerminalEvents
}) {
  const { fontSize, theme } = usePreferences()
  const client = useQueryClient()
  const place = useRef<HTMLDivElement>(null)
  const screen = useRef<Screen>(undefined)
  const [attempt, setAttempt] = useState(0)
  const [end, setEnd] = useState<string>()
  const [isLost, setLost] = useState(false)
  const [isSearching, setSearching] = useState(false)
  const [rings, setRings] = useState(false)
  const [isAimedAt, setAimedAt] = useState(false)
  const [wanted, setWanted] = useState<string>()
  const latest = useRef({ fontSize, theme, events, sid: pane.sid })
  latest.current = { fontSize, theme, events, sid: pane.sid }
  const { node, login, hostname } = pane
  const where = `${login}@${hostname}`

  // biome-ignore lint/correctness/useExhaustiveDependencies: `attempt` starts it anew
  useEffect(() => {
    const parent = place.current
    if (parent === null) return
    const opened = openScreen(parent, latest.current, () => setSearching(true))
    const { terminal, fit } = opened
    screen.current = opened
    terminal.textarea?.setAttribute('aria-label', words.region(where))
    fit.fit()
    terminal.write(`\x1b[2m${words.connecting(where)}\x1b[0m\r\n`)
    let isFresh = true
    const connection = new LastingConnection({
      node,
      login,
      attach: latest.current.sid,
      size: () => ({ columns: terminal.cols, rows: terminal.rows }),
      onOutput: (bytes, shown) => terminal.write(bytes, shown),
      onReady: () => {
        // What was shown before stays above, when one comes back.
        if (isFresh) terminal.reset()
        else terminal.write(asBefore)
        isFresh = false
        terminal.options.disableStdin = false
        setLost(false)
      },
      onSession: (sid) => latest.current.events.onSession(sid),
      onLatency: (ms) => latest.current.events.onLatency(ms),
      onLost: () => {
        terminal.options.disableStdin = true
        setLost(true)
      },
      onLoggedOut: () => void client.invalidateQueries({ queryKey: stateKey }),
      onEnd: (reason) => {
        const said = wordsOf(reason)
        // It may have ended with the login.
        void client.invalidateQueries({ queryKey: stateKey })
        terminal.write(lastWords(said))
        terminal.options.disableStdin = true
        terminal.options.cursorBlink = false
        setLost(false)
        setEnd(said)
      },
    })
    terminal.onData((typed) => connection.write(encoder.encode(typed)))
    terminal.onBinary((bytes) =>
      connection.write(Uint8Array.from(bytes, (character) => character.charCodeAt(0) & 0xff)),
    )
    terminal.onResize(({ cols, rows }) => connection.resize(cols, rows))
    terminal.textarea?.addEventListener('focus', () => latest.current.events.onUse())
    let quiet: ReturnType<typeof setTimeout> | undefined
    terminal.onBell(() => {
      setRings(true)
      clearTimeout(quiet)
      quiet = setTimeout(() => setRings(false), bellTime)
      latest.current.events.onBell()
    })
    terminal.parser.registerOscHandler(52, (data) => {
      const copied = readClipboardWrite(data)
      const permission = permissionOf(user)
      if (copied !== undefined && permission === 'yes') copy(copied)
      if (copied !== undefined && permission === 'ask') setWanted(copied)
      return true
    })
    const observer = new ResizeObserver(() => {
      if (parent.offsetWidth > 0) fit.fit()
    })
    observer.observe(parent)
    return () => {
      clearTimeout(quiet)
      observer.disconnect()
      connection.close()
      terminal.dispose()
      screen.current = undefined
    }
  }, [node, login, where, user, client, attempt])

  useEffect(() => {
    const { terminal, fit } = screen.current ?? {}
    if (terminal === undefined) return
    terminal.options.fontSize = fontSize
    terminal.options.theme = themes[theme] ?? {}
    fit?.fit()
  }, [fontSize, theme])

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt is typed in too
  useEffect(() => {
    if (isActive && !isSearching) screen.current?.terminal.focus()
  }, [isActive, isSearching, attempt])

  const decide = (permission: 'yes' | 'no') => {
    setPermission(user, permission)
    if (permission === 'yes' && wanted !== undefined) copy(wanted)
    setWanted(undefined)
    screen.current?.terminal.focus()
  }
  return (
    <section
      className={rings ? 'terminal rings' : 'terminal'}
      aria-label={words.region(where)}
      style={{ background: themes[theme]?.background ?? '#000' }}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes('Files')) return
        event.preventDefault()
        setAimedAt(true)
      }}
      onDragLeave={({ relatedTarget, currentTarget }) => {
        if (!(relatedTarget instanceof Node && currentTarget.contains(relatedTarget))) setAimedAt(false)
      }}
      onDrop={(event) => {
        setAimedAt(false)
        if (!event.dataTransfer.types.includes('Files')) return
        event.preventDefault()
        for (const file of event.dataTransfer.files) upload(pane, '', file)
        events.onDrop()
        screen.current?.terminal.focus()
      }}
    >
      {isAimedAt ? <p className="drop-here">{words.dropHere(where)}</p> : null}
      {isSearching ? <SearchBar search={screen.current?.search} onClose={() => setSearching(false)} /> : null}
      <div className="screen" ref={place} />
      {wanted === undefined ? null : (
        <div className="ended" role="alertdialog" aria-label={words.clipboardAsk(where)}>
          <Text size="sm">{words.clipboardAsk(where)}</Text>
          <Group gap="xs">
            <Button size="xs" onClick={() => decide('yes')}>
              {words.clipboardYes}
            </Button>
            <Button size="xs" variant="default" onClick={() => decide('no')}>
              {words.clipboardNo}
            </Button>
          </Group>
        </div>
      )}
      {isLost ? (
        <div className="ended" role="status">
          <Text size="sm">{words.lost}</Text>
          <Loader size="xs" aria-label={words.goingBack} />
        </div>
      ) : null}
      {end === undefined ? null : (
        <Ended
          why={end}
          again={words.reconnect}
          onAgain={() => {
            setEnd(undefined)
            setAttempt((before) => before + 1)
          }}
        />
      )}
    </section>
  )
}

/** A browser that does not let the page do so now does not let it. */
const copy = (copied: string): void => void navigator.clipboard.writeText(copied).catch(() => undefined)
