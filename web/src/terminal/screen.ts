/** xterm.js with what a terminal of ours can do: links, search, copy and paste. */

import { FitAddon } from '@xterm/addon-fit'
import { SearchAddon } from '@xterm/addon-search'
import { WebLinksAddon } from '@xterm/addon-web-links'
import { Terminal } from '@xterm/xterm'
import { themes } from './themes.ts'

const scrollback = 10_000

/** A server decides what a link says; only the two that a browser opens as pages are ever opened. */
function openLink(_event: MouseEvent, uri: string): void {
  const url = URL.parse(uri)
  if (url?.protocol === 'https:' || url?.protocol === 'http:') window.open(url.href, '_blank', 'noopener,noreferrer')
}

export interface Screen {
  readonly terminal: Terminal
  readonly fit: FitAddon
  readonly search: SearchAddon
}

export function openScreen(
  parent: HTMLElement,
  look: { fontSize: number; theme: string },
  onSearch: () => void,
): Screen {
  const terminal = new Terminal({
    allowProposedApi: true,
    cursorBlink: true,
    fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
    fontSize: look.fontSize,
    theme: themes[look.theme] ?? {},
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
  terminal.attachCustomKeyEventHandler((event) => onKey(event, terminal, onSearch))
  return { terminal, fit, search }
}

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
