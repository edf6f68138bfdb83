/** The open terminals with their tabs and panes. It stays mounted while other pages are shown. Loaded when the first one is opened. */

import '@xterm/xterm/css/xterm.css'
import './terminal.css'
import { ActionIcon, Menu, Text } from '@mantine/core'
import { useEffect, useState } from 'react'
import { CloseIcon, GearIcon, SplitIcon } from '../icons.tsx'
import { sessionsText } from '../text/sessions.ts'
import { words } from '../text/terminal.ts'
import { permissionOf, setPermission } from './clipboard.ts'
import { Files, type FilesShown } from './files.tsx'
import { JoinedView } from './joined-view.tsx'
import { PartyNames } from './parties.tsx'
import { setPreferences, usePreferences } from './preferences.ts'
import {
  choosePane,
  closePane,
  closeTerminal,
  keepSession,
  maxPanes,
  type Pane,
  ring,
  setOver,
  showTerminal,
  split,
  type Tab,
  useTabs,
} from './tabs.ts'
import { type TerminalEvents, TerminalView } from './terminal-view.tsx'
import { themes } from './themes.ts'

const nameOf = ({ login, hostname, joined }: Pane): string =>
  joined === undefined ? `${login}@${hostname}` : sessionsText.who(joined.user, login, hostname)
const currentOf = (tab: Tab): Pane => tab.panes.find(({ id }) => id === tab.current) ?? tab.panes[0]

export function TerminalDeck({ isShown, clusterName, user }: { isShown: boolean; clusterName: string; user: string }) {
  const { all, active } = useTabs()
  const [latency, setLatency] = useState<ReadonlyMap<number, number>>(new Map())
  const [files, setFiles] = useState<FilesShown>('no')
  const tab = all.find(({ id }) => id === active)
  const pane = tab === undefined ? undefined : currentOf(tab)
  const name = pane === undefined ? words.title : nameOf(pane)
  useEffect(() => {
    if (isShown) document.title = `${name} · ${clusterName}`
  }, [isShown, name, clusterName])
  const ms = pane === undefined ? undefined : latency.get(pane.id)
  return (
    <div className="deck" hidden={!isShown}>
      <div className="tab-bar">
        <nav className="tabs" aria-label={words.tabs}>
          {all.map((one) => (
            <TabButton key={one.id} tab={one} isActive={one.id === active} />
          ))}
        </nav>
        {pane?.sid === undefined || !isShown ? null : <PartyNames sid={pane.sid} user={user} />}
        <Text size="xs" c="dimmed" title={words.latencyHint} className="latency">
          {ms === undefined ? '' : words.latency(Math.max(1, Math.round(ms)))}
        </Text>
        {pane === undefined || pane.joined !== undefined ? null : (
          <Files place={pane} shown={files} onShow={setFiles} />
        )}
        {tab === undefined || pane?.joined !== undefined ? null : <Splits tab={tab} />}
        <Settings user={user} />
      </div>
      <div className="screens">
        {all.map((one) => (
          <div key={one.id} className={`panes ${one.direction}`} hidden={one.id !== active}>
            {one.panes.map((each) => (
              <div key={each.id} className={each.id === one.current ? 'pane current' : 'pane'}>
                {one.panes.length === 1 ? null : (
                  <ActionIcon
                    size="sm"
                    variant="default"
                    className="close-pane"
                    aria-label={words.closePane(nameOf(each))}
                    onClick={() => closePane(one.id, each.id)}
                  >
                    <CloseIcon size={12} />
                  </ActionIcon>
                )}
                <View
                  pane={each}
                  user={user}
                  isActive={isShown && one.id === active && each.id === one.current}
                  events={{
                    onLatency: (time) => setLatency((before) => new Map(before).set(each.id, time)),
                    onSession: (sid) => keepSession(one.id, each.id, sid),
                    onBell: () => {
                      if (!isShown || one.id !== active) ring(one.id)
                    },
                    onUse: () => choosePane(one.id, each.id),
                    onDrop: () => setFiles('dropped'),
                    onOver: (isOver) => setOver(one.id, each.id, isOver),
                    onLeave: () => closePane(one.id, each.id),
                  }}
                />
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  )
}

interface ViewProps {
  readonly pane: Pane
  readonly user: string
  readonly isActive: boolean
  readonly events: TerminalEvents & { onOver(isOver: boolean): void; onLeave(): void }
}

function View({ pane, user, isActive, events }: ViewProps) {
  const { joined } = pane
  if (joined === undefined) return <TerminalView pane={pane} user={user} isActive={isActive} events={events} />
  const label = sessionsText.terminal(nameOf(pane))
  return <JoinedView pane={pane} joined={joined} label={label} user={user} isActive={isActive} events={events} />
}

function TabButton({ tab, isActive }: { tab: Tab; isActive: boolean }) {
  const name = nameOf(tab.panes[0])
  return (
    <div className={isActive ? 'tab current' : 'tab'}>
      <button
        type="button"
        aria-current={isActive ? 'page' : undefined}
        onClick={() => showTerminal(tab.id)}
        title={name}
      >
        {name}
        {tab.panes.length === 1 ? null : <span className="count">{tab.panes.length}</span>}
        {tab.rang ? <span className="bell" role="img" aria-label={words.rang} /> : null}
      </button>
      <button type="button" aria-label={words.close(name)} onClick={() => closeTerminal(tab.id)}>
        <CloseIcon size={12} />
      </button>
    </div>
  )
}

/** With two panes it only changes how they lie. */
function Splits({ tab }: { tab: Tab }) {
  return (
    <Menu position="bottom-end" width={220} shadow="md">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={words.split} className="quiet">
          <SplitIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {(['row', 'column'] as const).map((direction) => (
          <Menu.Item
            key={direction}
            disabled={tab.panes.length >= maxPanes && tab.direction === direction}
            onClick={() => split(tab.id, direction)}
          >
            {direction === 'row' ? words.splitRow : words.splitColumn}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

function Settings({ user }: { user: string }) {
  const { fontSize, theme } = usePreferences()
  const [permission, setChosen] = useState(() => permissionOf(user))
  return (
    <Menu
      position="bottom-end"
      width={260}
      shadow="md"
      closeOnItemClick={false}
      alignItemsLabels="all"
      onOpen={() => setChosen(permissionOf(user))}
    >
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={words.settings} className="quiet">
          <GearIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => setPreferences({ fontSize: fontSize + 1 })}>{words.larger}</Menu.Item>
        <Menu.Item onClick={() => setPreferences({ fontSize: fontSize - 1 })}>{words.smaller}</Menu.Item>
        <Menu.Divider />
        <Menu.Label>{words.theme}</Menu.Label>
        <Menu.RadioGroup value={theme} onChange={(name) => setPreferences({ theme: name })}>
          {Object.keys(themes).map((name) => (
            <Menu.RadioItem key={name} value={name}>
              {name}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.CheckboxItem
          checked={permission === 'yes'}
          onChange={(isAllowed) => {
            const next = isAllowed ? 'yes' : 'no'
            setPermission(user, next)
            setChosen(next)
          }}
        >
          {words.clipboard}
        </Menu.CheckboxItem>
        <Menu.Divider />
        <Menu.Label>{words.fullHint}</Menu.Label>
      </Menu.Dropdown>
    </Menu>
  )
}
