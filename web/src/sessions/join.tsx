/** Joining an open session: it becomes a tab among one's own terminals. */

import { Button, Menu } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { ChevronIcon, TerminalIcon } from '../icons.tsx'
import { openTerminal } from '../terminal/tabs.ts'
import { sessionsText as words } from '../text/sessions.ts'
import type { Mode, OpenSession } from './calls.ts'

export function useJoin(): (session: OpenSession, mode: Mode, replace?: boolean) => void {
  const navigate = useNavigate()
  return useCallback(
    ({ sid, user, login, serverId, serverHostname }, mode, replace = false) => {
      openTerminal({ node: serverId, hostname: serverHostname, login, joined: { sid, mode, user } })
      void navigate({ to: '/web/terminal', replace })
    },
    [navigate],
  )
}

/** What the roles allow, and nothing else. */
export function Join({ session }: { session: OpenSession }) {
  const join = useJoin()
  const { modes, user, login, serverHostname } = session
  const [first, ...rest] = modes
  if (first === undefined) return null
  const who = words.who(user, login, serverHostname)
  return (
    <Button.Group>
      <Button
        size="xs"
        leftSection={<TerminalIcon />}
        aria-label={words.join(words.modes[first], who)}
        onClick={() => join(session, first)}
      >
        {words.modes[first]}
      </Button>
      {rest.length === 0 ? null : (
        <Menu position="bottom-end" width={200} shadow="md" withinPortal>
          <Menu.Target>
            <Button size="xs" px={8} className="split" aria-label={words.join('…', who)}>
              <ChevronIcon />
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {rest.map((mode) => (
              <Menu.Item key={mode} onClick={() => join(session, mode)}>
                {words.modes[mode]}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </Button.Group>
  )
}
