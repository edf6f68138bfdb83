/** The places in the bar: all of them where there is room, otherwise the first ones and the rest in a menu, so that nothing scrolls sideways. */

import { Button, Menu } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { Link, useLocation, useNavigate } from '@tanstack/react-router'
import { may, type WebUser } from './api.ts'
import { ChevronIcon } from './icons.tsx'
import { type Place, places } from './places.ts'
import { useTabs } from './terminal/tabs.ts'
import { text } from './text.ts'

/** Seven places and a name fit; below `narrow` the names of cluster and user go too (`style.css`). */
const wide = '(min-width: 70rem)'
const narrow = '(max-width: 48rem)'
/** How many stand beside the menu in between; on a phone it has room for itself. */
const beside = 3
const now = { getInitialValueInEffect: false }

export function Navigation({ user }: { user: WebUser | undefined }) {
  const isWide = useMediaQuery(wide, true, now)
  const isNarrow = useMediaQuery(narrow, false, now)
  const mine = places
    .filter(({ needs }) => needs === undefined || may(user, needs))
    .filter(({ isFor }) => isFor === undefined || isFor(user))
  const shown = isWide ? mine.length : isNarrow ? 0 : beside
  return (
    <nav aria-label={text.nav.main} className="nav">
      {mine.slice(0, shown).map((place) => (
        <Link key={place.to} to={place.to}>
          <Name place={place} />
        </Link>
      ))}
      {shown >= mine.length ? null : <More rest={mine.slice(shown)} />}
    </nav>
  )
}

/** Says where one is, when that is one of those in it. */
function More({ rest }: { rest: readonly Place[] }) {
  const { pathname } = useLocation()
  const navigate = useNavigate()
  const isHere = ({ to }: Place) => pathname === to || pathname.startsWith(`${to}/`)
  const here = rest.find(isHere)
  return (
    <Menu position="bottom-start" width={220} shadow="md">
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          size="sm"
          px="xs"
          className={here === undefined ? 'quiet more' : 'quiet more current'}
          rightSection={<ChevronIcon />}
        >
          <span className="visually-hidden">{text.nav.places}: </span>
          {here === undefined ? text.nav.more : <Name place={here} />}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {rest.map((place) => (
          <Menu.Item
            key={place.to}
            aria-current={place === here ? 'page' : undefined}
            className={place === here ? 'current' : undefined}
            onClick={() => void navigate({ to: place.to })}
          >
            <Name place={place} />
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

function Name({ place: { to, name } }: { place: Place }) {
  const { all } = useTabs()
  return (
    <>
      {name}
      {to !== '/web/terminal' || all.length === 0 ? null : <span className="count">{all.length}</span>}
    </>
  )
}
