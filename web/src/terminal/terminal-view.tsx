/** One terminal: xterm.js on a connection, its search, and what is said when it has ended. */

import { ActionIcon, Button, Text, TextInput } from '@mantine/core'
import { FitAddon } from '@xterm/addon-fit'
import { SearchAddon } from '@xterm/addon-search'
import { WebLinksAddon } from '@xterm/addon-web-links'
import { Terminal } from '@xterm/xterm'
import { useEffect, useRef, useState } from 'react'
import { currentToken } from '../api.ts'
import { ChevronIcon, CloseIcon } from '../icons.tsx'
import { text } from '../text.ts'
import { TerminalConnection } from './connection.ts'
import { usePreferences } from './preferences.ts'
import type { Tab } from './tabs.ts'
import { themes } from './themes.ts'

const words = text.terminal
const encoder = new TextEncoder()
const scrollback = 10_000

/** A server decides what a link says; only the two that a browser opens as pages are ever opened. */
function openLink(_event: MouseEvent, uri: string): void {
  const url = URL.parse(uri)
  if (url?.protocol === 'https:' || url?.protocol === 'http:') window.open(url.href, '_blank', 'noopener,noreferrer')
}

interface View {
  readonly terminal: Terminal
  readonly fit: FitAddon
  readonly search: SearchAddon
}

export function TerminalView({
  tab,
  isActive,
  onLatency,
}: {
  tab: Tab
  isActive: boolean
  onLatency(ms: number): void
}) {
  const { fontSize, theme } = usePreferences()
  const place = useRef<HTMLDivElement>(null)
  const view = useRef<View>(undefined)
  const [attempt, setAttempt] = useState(0)
  const [end, setEnd] = useState<string>()
  const [isSearching, setSearching] = useState(false)
  const look = useRef({ fontSize, theme, onLatency })
  look.current = { fontSize, theme, onLatency }
  const { node, login, hostname } = tab
  const where = `${login}@${hostname}`

  // biome-ignore lint/correctness/useExhaustiveDependencies: `attempt` starts it anew
  useEffect(() => {
    const parent = place.current
    if (parent === null) return
    const terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: true,
      fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: look.current.fontSize,
      theme: themes[look.current.theme] ?? {},
      scrollback,
      minimumContrastRatio: 4.5,
      linkHandler: { activate: openLink },
    })
    const fit = new FitAddon()
    const search = new SearchAddon()
    terminal.loadAddon(fit)
    terminal.loadAddon(search)
    terminal.loadAddon(new WebLinksAddon(openLink))
    terminal.open(parent)
    terminal.textarea?.setAttribute('aria-label', words.region(where))
    fit.fit()
    terminal.write(`\x1b[2m${words.connecting(where)}\x1b[0m\r\n`)
    view.current = { terminal, fit, search }
    const connection = new TerminalConnection({
      node,
      login,
      columns: terminal.cols,
      rows: terminal.rows,
      csrfToken: currentToken(),
      onOutput: (bytes, shown) => terminal.write(bytes, shown),
      onReady: () => terminal.reset(),
      onLatency: (ms) => look.current.onLatency(ms),
      onEnd: (message) => {
        const said = message ?? words.lost
        terminal.write(`\x1b[?1049l\x1b[0m\r\n\x1b[2m── ${printable(said)} ──\x1b[0m\r\n`)
        terminal.options.disableStdin = true
        terminal.options.cursorBlink = false
        setEnd(said)
      },
    })
    terminal.onData((typed) => connection.write(encoder.encode(typed)))
    terminal.onBinary((bytes) =>
      connection.write(Uint8Array.from(bytes, (character) => character.charCodeAt(0) & 0xff)),
    )
    terminal.onResize(({ cols, rows }) => connection.resize(cols, rows))
    terminal.attachCustomKeyEventHandler((event) => onKey(event, terminal, () => setSearching(true)))
    const observer = new ResizeObserver(() => {
      if (parent.offsetWidth > 0) fit.fit()
    })
    observer.observe(parent)
    return () => {
      observer.disconnect()
      connection.close()
      terminal.dispose()
      view.current = undefined
    }
  }, [node, login, where, attempt])

  useEffect(() => {
    const { terminal, fit } = view.current ?? {}
    if (terminal === undefined) return
    terminal.options.fontSize = fontSize
    terminal.options.theme = themes[theme] ?? {}
    fit?.fit()
  }, [fontSize, theme])

  useEffect(() => {
    if (isActive && !isSearching) view.current?.terminal.focus()
  }, [isActive, isSearching])

  return (
    <section
      className="terminal"
      hidden={!isActive}
      aria-label={words.region(where)}
      style={{ background: themes[theme]?.background ?? '#000' }}
    >
      {isSearching ? <SearchBar view={view.current} onClose={() => setSearching(false)} /> : null}
      <div className="screen" ref={place} />
      {end === undefined ? null : (
        <div className="ended" role="status">
          <Text size="sm">{end}</Text>
          <Button
            size="xs"
            onClick={() => {
              setEnd(undefined)
              setAttempt((before) => before + 1)
            }}
          >
            {words.reconnect}
          </Button>
        </div>
      )}
    </section>
  )
}

/** What the proxy says holds names that others chose. */
const printable = (said: string): string => said.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')

/** False: the key is not for the program in the terminal. */
function onKey(event: KeyboardEvent, terminal: Terminal, search: () => void): boolean {
  if (event.type !== 'keydown' || !event.ctrlKey || !event.shiftKey) return true
  switch (event.code) {
    case 'KeyC':
      event.preventDefault()
      if (terminal.hasSelection()) void navigator.clipboard.writeText(terminal.getSelection()).catch(() => undefined)
      return false
    case 'KeyV':
      event.preventDefault()
      // `paste` strips what would end a bracketed paste, and brackets it where the program asked for that.
      void navigator.clipboard.readText().then(
        (copied) => terminal.paste(copied),
        () => undefined,
      )
      return false
    case 'KeyF':
      event.preventDefault()
      search()
      return false
    default:
      return true
  }
}

function SearchBar({ view, onClose }: { view: View | undefined; onClose(): void }) {
  const [wanted, setWanted] = useState('')
  const next = () => void view?.search.findNext(wanted)
  const previous = () => void view?.search.findPrevious(wanted)
  return (
    <search className="terminal-search">
      <TextInput
        size="xs"
        aria-label={words.search}
        placeholder={words.search}
        value={wanted}
        ref={(element) => element?.focus()}
        onChange={(event) => {
          setWanted(event.currentTarget.value)
          view?.search.findNext(event.currentTarget.value, { incremental: true })
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onClose()
          if (event.key === 'Enter') (event.shiftKey ? previous : next)()
        }}
      />
      <ActionIcon variant="default" aria-label={words.previous} onClick={previous} className="up">
        <ChevronIcon />
      </ActionIcon>
      <ActionIcon variant="default" aria-label={words.next} onClick={next}>
        <ChevronIcon />
      </ActionIcon>
      <ActionIcon variant="default" aria-label={words.closeSearch} onClick={onClose}>
        <CloseIcon />
      </ActionIcon>
    </search>
  )
}
