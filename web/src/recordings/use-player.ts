/** A player on a place in the page, as long as it is there. */

import { type RefObject, useCallback, useEffect, useRef, useState } from 'react'
import type { CachedChunk } from '../../../src/audit/recording/play/chunk-cache.ts'
import { Player, type PlayerAction, type PlayerState } from '../../../src/audit/recording/play/player.ts'
import { usePreferences } from '../terminal/preferences.ts'
import { themes } from '../terminal/themes.ts'
import { openRecording, type Summary } from './calls.ts'
import { textOf } from './decode.ts'
import { clock, turn } from './pace.ts'
import { PageScreen } from './page-screen.ts'
import { Timeline } from './timeline.ts'

export interface Playing {
  readonly state: PlayerState | undefined
  readonly timeline: Timeline
  /** Another one when the timeline knows more. */
  readonly known: number
  readonly error: unknown
  press(action: PlayerAction): void
  /** What is selected, or all that is shown. */
  text(): string
  /** After an error, from where it was. */
  again(): void
}

/** Pixels that the controls need below the screen. */
const controls = 300

const roomOf = (stage: HTMLElement) => ({
  width: stage.clientWidth - 16,
  height: (document.fullscreenElement === null ? window.innerHeight - controls : stage.clientHeight) - 16,
})

export function usePlayer(
  stage: RefObject<HTMLDivElement | null>,
  summary: Summary | undefined,
  options: { readonly label: string; readonly atMs: number },
): Playing {
  const { theme } = usePreferences()
  const [state, setState] = useState<PlayerState>()
  const [known, setKnown] = useState(0)
  const [error, setError] = useState<unknown>()
  const [attempt, setAttempt] = useState(0)
  const timeline = useRef(new Timeline())
  const player = useRef<Player>(undefined)
  const screen = useRef<PageScreen>(undefined)
  const first = useRef(options)
  const position = useRef(options.atMs)
  const look = useRef(theme)
  look.current = theme

  // biome-ignore lint/correctness/useExhaustiveDependencies: another state of the same recording is the same recording
  useEffect(() => {
    const parent = stage.current
    if (parent === null || summary === undefined) return
    const over = new AbortController()
    const shown = new PageScreen(parent, {
      columns: summary.columns,
      rows: summary.rows,
      theme: themes[look.current] ?? {},
      label: first.current.label,
      room: roomOf(parent),
    })
    const reader = new BackgroundReader((chunk, text) => {
      timeline.current.add(chunk, text)
      setKnown((before) => before + 1)
    })
    const source = openRecording(summary, 'play', {
      follow: summary.state === 'running',
      onChunk: (chunk) => reader.add(chunk),
    })
    const made = new Player({
      source,
      env: clock,
      screen: shown,
      async paint(next) {
        position.current = next.positionMs
        setState(next)
      },
      turn,
      speed: 1,
      skipIdle: false,
      atMs: position.current,
      stays: true,
    })
    player.current = made
    screen.current = shown
    setError(undefined)
    made.run(over.signal).catch((failure: unknown) => {
      if (!over.signal.aborted) setError(failure)
    })
    const observer = new ResizeObserver(() => {
      if (parent.clientWidth > 0) shown.fit(roomOf(parent))
    })
    observer.observe(parent)
    return () => {
      over.abort(new Error('the page of the player was left'))
      observer.disconnect()
      reader.close()
      void source.close()
      shown.dispose()
      player.current = undefined
      screen.current = undefined
    }
  }, [stage, summary?.sid, attempt])

  useEffect(() => {
    if (screen.current !== undefined) screen.current.theme = themes[theme] ?? {}
  }, [theme])

  const press = useCallback((action: PlayerAction) => player.current?.press(action), [])
  const text = useCallback(() => screen.current?.text() ?? '', [])
  const again = useCallback(() => setAttempt((before) => before + 1), [])
  return { state, timeline: timeline.current, known, error, press, text, again }
}

/** Reads chunks for the timeline while nothing else is to be done, one after the other. */
class BackgroundReader {
  readonly #found: (chunk: CachedChunk, text: string) => void
  #waiting: CachedChunk[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(found: (chunk: CachedChunk, text: string) => void) {
    this.#found = found
  }

  add(chunk: CachedChunk): void {
    this.#waiting.push(chunk)
    this.#timer ??= setTimeout(() => this.#next(), 0)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#waiting = []
  }

  #next(): void {
    this.#timer = undefined
    const begun = performance.now()
    while (performance.now() - begun < 8) {
      const chunk = this.#waiting.shift()
      if (chunk === undefined) return
      try {
        this.#found(chunk, textOf(chunk))
      } catch {
        // The player says what is damaged.
        this.#found(chunk, '')
      }
    }
    // A large chunk takes long: whoever plays has most of the time.
    this.#timer = setTimeout(() => this.#next(), 3 * (performance.now() - begun))
  }
}
