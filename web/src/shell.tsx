/** What is around every page: the bar on top, the terminals that stay open, and the login that comes back when a session is over. */

import { ActionIcon, Button, Menu, Modal, Text, Title, useMantineColorScheme } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link, useLocation, useNavigate } from '@tanstack/react-router'
import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react'
import { logOut, type WebState } from './api.ts'
import { ChevronIcon, SearchIcon, ServerIcon, ShieldIcon, UserIcon } from './icons.tsx'
import { LoginForm } from './login-form.tsx'
import { Navigation } from './navigation.tsx'
import { stateKey, useRenewal } from './session.tsx'
import { closeAll, ownTerminals, useTabs } from './terminal/tabs.ts'
import { text } from './text.ts'

const Palette = lazy(async () => ({ default: (await import('./palette.tsx')).Palette }))
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
  useRenewal(name !== undefined)
  useEffect(() => {
    // In a terminal it is the shell's own key; there the button in the bar, or Ctrl+Shift+K, opens it.
    const open = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey) || event.altKey) return
      const isTyped = event.target instanceof Element && event.target.closest('.xterm') !== null
      if (isTyped && !event.shiftKey) return
      event.preventDefault()
      setChoosing((before) => !before)
    }
    window.addEventListener('keydown', open)
    return () => window.removeEventListener('keydown', open)
  }, [])
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
        <ActionIcon
          variant="subtle"
          color="gray"
          className="quiet"
          aria-label={text.palette.open}
          title={text.palette.open}
          onClick={() => setChoosing(true)}
        >
          <SearchIcon />
        </ActionIcon>
        <UserMenu name={known} state={state} onLeave={() => setKnown(undefined)} />
      </header>
      <main id="content" tabIndex={-1}>
        {children}
        {isTerminal && all.length === 0 ? <NoTerminal /> : null}
        {all.length === 0 ? null : (
          <Suspense fallback={<Text p="md">{text.loading}</Text>}>
            <Deck isShown={isTerminal} clusterName={state.clusterName} user={known} />
          </Suspense>
        )}
      </main>
      {isChoosing && name !== undefined ? (
        <Suspense>
          <Palette
            state={state}
            actions={(['light', 'dark', 'auto'] as const).map((scheme) => ({
              name: text.menu[scheme],
              group: text.palette.actions,
              run: () => setColorScheme(scheme),
            }))}
            onClose={() => setChoosing(false)}
          />
        </Suspense>
      ) : null}
      <Modal
        opened={name === undefined}
        onClose={() => undefined}
        withCloseButton={false}
        closeOnEscape={false}
        closeOnClickOutside={false}
        title={text.login.again}
        centered
        // Before whatever dialog was open.
        zIndex={400}
      >
        <Text c="dimmed" size="sm" mb="md">
          {text.login.againHint}
        </Text>
        <LoginForm state={state} user={known} />
      </Modal>
    </div>
  )
}

function NoTerminal() {
  return (
    <div className="page">
      <div className="card nothing">
        <ServerIcon />
        <Title order={1} size="h4">
          {text.terminal.none}
        </Title>
        <Text c="dimmed">{text.terminal.noneHint}</Text>
        <Link to="/web/nodes" className="go">
          {text.terminal.chooseServer}
        </Link>
      </div>
    </div>
  )
}

function UserMenu({ name, state, onLeave }: { name: string; state: WebState; onLeave(): void }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const leave = useMutation({
    mutationFn: () => logOut(false),
    onSuccess: async () => {
      closeAll()
      // At once, or the login would find somebody logged in and lead back.
      client.setQueryData<WebState>(stateKey, (before) => {
        const { user: _, ...rest } = before ?? state
        return rest
      })
      onLeave()
      await navigate({ to: '/web/login' })
      client.removeQueries({ queryKey: ['nodes'] })
      await client.invalidateQueries()
    },
  })
  return (
    <Menu position="bottom-end" width={220} shadow="md" alignItemsLabels="all">
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          size="sm"
          className="quiet"
          leftSection={<UserIcon />}
          rightSection={<ChevronIcon />}
          aria-label={text.menu.user(name)}
        >
          <span className="user-name">{name}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void navigate({ to: '/web/account' })}>{text.nav.account}</Menu.Item>
        <Menu.Divider />
        <Menu.RadioGroup value={colorScheme} onChange={(scheme) => setColorScheme(scheme as typeof colorScheme)}>
          {(['light', 'dark', 'auto'] as const).map((scheme) => (
            <Menu.RadioItem key={scheme} value={scheme} closeMenuOnClick>
              {text.menu[scheme]}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Item onClick={() => leave.mutate()}>{text.menu.logout}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
