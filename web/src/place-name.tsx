/** What a place is called in the bar and its menu, with how many terminals are open. */

import type { Place } from './places.ts'
import { useTabs } from './terminal/tabs.ts'

export function PlaceName({ place: { to, name } }: { place: Place }) {
  const { all } = useTabs()
  return (
    <>
      {name}
      {to !== '/web/terminal' || all.length === 0 ? null : <span className="count">{all.length}</span>}
    </>
  )
}
