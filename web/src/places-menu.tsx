/** The places that have no room in the bar. Loaded when it is first opened. */

import { Menu } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { PlaceName } from './place-name.tsx'
import type { Place } from './places.ts'

export function PlacesMenu(props: { button: ReactElement; places: readonly Place[]; here: Place | undefined }) {
  const { button, places, here } = props
  const navigate = useNavigate()
  return (
    <Menu position="bottom-start" width={220} shadow="md" defaultOpened>
      <Menu.Target>{button}</Menu.Target>
      <Menu.Dropdown>
        {places.map((place) => (
          <Menu.Item
            key={place.to}
            aria-current={place === here ? 'page' : undefined}
            className={place === here ? 'current' : undefined}
            onClick={() => void navigate({ to: place.to })}
          >
            <PlaceName place={place} />
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
