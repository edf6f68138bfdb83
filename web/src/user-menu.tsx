/** Account, colours, logout. Loaded when it is first opened. */

import { Menu, useMantineColorScheme } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { logOut, type WebState } from './api.ts'
import { stateKey } from './session.tsx'
import { closeAll } from './terminal/tabs.ts'
import { text } from './text.ts'

export function UserMenu({ button, state, onLeave }: { button: ReactElement; state: WebState; onLeave(): void }) {
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
    <Menu position="bottom-end" width={220} shadow="md" alignItemsLabels="all" defaultOpened>
      <Menu.Target>{button}</Menu.Target>
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
