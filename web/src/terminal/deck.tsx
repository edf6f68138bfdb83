/** The open terminals with their tabs. It stays mounted while other pages are shown. Loaded when the first one is opened. */

import '@xterm/xterm/css/xterm.css'
import { ActionIcon, Menu, Text } from '@mantine/core'
import { useCallback, useEffect, useState } from 'react'
import { CloseIcon, GearIcon } from '../icons.tsx'
import { text } from '../text.ts'
import { setPreferences, usePreferences } from './preferences.ts'
import { closeTerminal, showTerminal, useTabs } from './tabs.ts'
import { TerminalView } from './terminal-view.tsx'
import { themes } from './themes.ts'

const words = text.terminal

export function TerminalDeck({ isShown, clusterName }: { isShown: boolean; clusterName: string }) {
  const { all, active } = useTabs()
  const [latency, setLatency] = useState<number>()
  const [current] = all.filter((tab) => tab.id === active)
  const onLatency = useCallback((ms: number) => setLatency(ms), [])
  useEffect(() => {
    if (!isShown) return
    document.title = `${current === undefined ? words.title : `${current.login}@${current.hostname}`} · ${clusterName}`
  }, [isShown, current, clusterName])
  return (
    <div className="deck" hidden={!isShown}>
      <div className="tab-bar">
        <nav className="tabs" aria-label={words.tabs}>
          {all.map((tab) => {
            const name = `${tab.login}@${tab.hostname}`
            return (
              <div key={tab.id} className={tab.id === active ? 'tab current' : 'tab'}>
                <button
                  type="button"
                  aria-current={tab.id === active ? 'page' : undefined}
                  onClick={() => showTerminal(tab.id)}
                  title={name}
                >
                  {name}
                </button>
                <button type="button" aria-label={words.close(name)} onClick={() => closeTerminal(tab.id)}>
                  <CloseIcon size={12} />
                </button>
              </div>
            )
          })}
        </nav>
        <Text size="xs" c="dimmed" title={words.latencyHint} className="latency">
          {latency === undefined || current === undefined ? '' : words.latency(Math.max(1, Math.round(latency)))}
        </Text>
        <Settings />
      </div>
      <div className="screens">
        {all.map((tab) => (
          <TerminalView key={tab.id} tab={tab} isActive={isShown && tab.id === active} onLatency={onLatency} />
        ))}
      </div>
    </div>
  )
}

function Settings() {
  const { fontSize, theme } = usePreferences()
  return (
    <Menu position="bottom-end" width={240} shadow="md" closeOnItemClick={false}>
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
        {Object.keys(themes).map((name) => (
          <Menu.Item
            key={name}
            role="menuitemradio"
            aria-checked={name === theme}
            rightSection={name === theme ? '✓' : null}
            onClick={() => setPreferences({ theme: name })}
          >
            {name}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Label>{words.fullHint}</Menu.Label>
      </Menu.Dropdown>
    </Menu>
  )
}
