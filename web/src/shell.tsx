/** What is around every page: the bar on top, the terminals that stay open, and the login that comes back when a session is over. */

import { useMantineColorScheme } from '@mantine/core'
import { Link, useLocation, useNavigate } from '@tanstack/react-router'
import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react'
import type { WebState } from './api.ts'
import { ChevronIcon, SearchIcon, ServerIcon, ShieldIcon, UserIcon } from './icons.tsx'
import { useLater } from './later.ts'
import { Navigation } from './navigation.tsx'
import { useRenewal } from './session.tsx'
import { closeAll, ownTerminals, useTabs } from './terminal/tabs.ts'
import { text } from './text.ts'

const loadPalette = async () => (await import('./palette.tsx')).Palette
const loadLogin = async () => (await import('./login-again.tsx')).LoginAgain
const loadMenu = async () => (await import('./user-menu.tsx')).UserMenu
/** Milliseconds. */
const fetchAfter = 1_000
const tryEvery = 2_000

const Deck = lazy(async () => ({ default: (await import('./terminal/deck.tsx')).TerminalDeck }))

export function Shell({ state, children }: { state: WebState; children: ReactNode }) {
  const { pathname, href } = useLocation()
  const navigate = useNavigate()
  const { all } = useTabs()
  const name = state.user?.name
  const [known, setKnown] = useState(name)
  const leaving = useRef(false)
  const [isChoosing, setChoosing] = useState(false)
  const { setColorScheme } = useMantineColorScheme()
  const { part: Palette, want: wantPalette } = useLater(loadPalette)
  const LoginAgain = useLogin(name === undefined)
  useRenewal(name !== undefined)
  useEffect(() => {
    // In a terminal it is the shell's own key; there the button in the bar, or Ctrl+Shift+K, opens it.
    const open = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey) || event.altKey) return
      const isTyped = event.target instanceof Element && event.target.closest('.xterm') !== null
      if (isTyped && !event.shiftKey) return
      event.preventDefault()
      // The login is in front of everything.
      if (name === undefined) return
      wantPalette()
      setChoosing((before) => !before)
    }
    window.addEventListener('keydown', open)
    return () => window.removeEventListener('keydown', open)
  }, [wantPalette, name])
  useEffect(() => {
    if (name !== undefined) {
      // Somebody else's terminals are nobody's business.
      if (known !== undefined && known !== name) closeAll()
      ownTerminals(name)
      setKnown(name)
    } else if (known === undefined && !leaving.current) {
      // Once: the address changes before this page has gone.
      leaving.current = true
      void navigate({ to: '/web/login', search: { to: href }, replace: true })
    }
  }, [name, known, navigate, href])
  const isTerminal = pathname === '/web/terminal'
  if (known === undefined) return null
  return (
    <div className={isTerminal ? 'shell full' : 'shell'}>
      <a className="skip" href="#content">
        {text.skip}
      </a>
      <header className="bar">
        <Link to="/web/nodes" className="mark" aria-label={state.clusterName}>
          <ShieldIcon size={22} />
          <span>{state.clusterName}</span>
        </Link>
        <Navigation user={state.user} />
        <button
          type="button"
          className="bare grey icon"
          aria-label={text.palette.open}
          title={text.palette.open}
          onClick={() => {
            wantPalette()
            setChoosing(true)
          }}
        >
          <SearchIcon />
        </button>
        {(state.user?.accessRequests.length ?? 0) === 0 ? null : (
          <Link to="/web/requests" className="chip chosen" title={text.moreRolesHint}>
            {text.moreRoles}
          </Link>
        )}
        <UserButton name={known} state={state} onLeave={() => setKnown(undefined)} />
      </header>
      <main id="content" tabIndex={-1}>
        {children}
        {isTerminal && all.length === 0 ? <NoTerminal /> : null}
        {all.length === 0 ? null : (
          <Suspense fallback={<p className="page">{text.loading}</p>}>
            <Deck isShown={isTerminal} clusterName={state.clusterName} user={known} />
          </Suspense>
        )}
      </main>
      {Palette !== undefined && isChoosing ? (
        <Palette
          state={state}
          actions={(['light', 'dark', 'auto'] as const).map((scheme) => ({
            name: text.menu[scheme],
            group: text.palette.actions,
            run: () => setColorScheme(scheme),
          }))}
          onClose={() => setChoosing(false)}
        />
      ) : null}
      {LoginAgain === undefined ? null : <LoginAgain isOver={name === undefined} state={state} user={known} />}
    </div>
  )
}

/** Fetched when the page has nothing else to do: once a session is over, the proxy may be away or another one. */
function useLogin(isOver: boolean) {
  const { part, want, expect } = useLater(loadLogin)
  useEffect(() => {
    if (isOver || part !== undefined) return
    const timer = setTimeout(expect, fetchAfter)
    return () => clearTimeout(timer)
  }, [isOver, part, expect])
  useEffect(() => {
    if (!isOver || part !== undefined) return
    want()
    const timer = setInterval(want, tryEvery)
    return () => clearInterval(timer)
  }, [isOver, part, want])
  return part
}

function NoTerminal() {
  return (
    <div className="page">
      <div className="card nothing">
        <ServerIcon />
        <h1 className="h4">{text.terminal.none}</h1>
        <p className="dim">{text.terminal.noneHint}</p>
        <Link to="/web/nodes" className="go">
          {text.terminal.chooseServer}
        </Link>
      </div>
    </div>
  )
}

function UserButton({ name, state, onLeave }: { name: string; state: WebState; onLeave(): void }) {
  const { part: UserMenu, want, expect } = useLater(loadMenu)
  const button = (
    <button
      type="button"
      className="bare grey"
      aria-label={text.menu.user(name)}
      aria-haspopup="menu"
      {...(UserMenu === undefined ? { onClick: want, onPointerEnter: expect } : {})}
    >
      <UserIcon />
      <span className="user-name">{name}</span>
      <ChevronIcon />
    </button>
  )
  return UserMenu === undefined ? button : <UserMenu button={button} state={state} onLeave={onLeave} />
}
