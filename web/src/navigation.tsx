/** The places in the bar: all of them where there is room, otherwise the first ones and the rest in a menu, so that nothing scrolls sideways. */

import { useMediaQuery } from '@mantine/hooks'
import { Link, useLocation } from '@tanstack/react-router'
import { may, type WebUser } from './api.ts'
import { ChevronIcon } from './icons.tsx'
import { useLater } from './later.ts'
import { PlaceName } from './place-name.tsx'
import { type Place, places } from './places.ts'
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
          <PlaceName place={place} />
        </Link>
      ))}
      {shown >= mine.length ? null : <More rest={mine.slice(shown)} />}
    </nav>
  )
}

const loadMenu = async () => (await import('./places-menu.tsx')).PlacesMenu

/** Says where one is, when that is one of those in it. */
function More({ rest }: { rest: readonly Place[] }) {
  const { pathname } = useLocation()
  const { part: PlacesMenu, want, expect } = useLater(loadMenu)
  const here = rest.find(({ to }) => pathname === to || pathname.startsWith(`${to}/`))
  const button = (
    <button
      type="button"
      className={here === undefined ? 'bare grey more' : 'bare grey more current'}
      aria-haspopup="menu"
      {...(PlacesMenu === undefined ? { onClick: want, onPointerEnter: expect } : {})}
    >
      <span>
        <span className="visually-hidden">{text.nav.places}: </span>
        {here === undefined ? text.nav.more : <PlaceName place={here} />}
      </span>
      <ChevronIcon />
    </button>
  )
  return PlacesMenu === undefined ? button : <PlacesMenu button={button} places={rest} here={here} />
}
