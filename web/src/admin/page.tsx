/** Everything that an operator sets up, one part beside the other; what the roles do not allow is not shown. */

import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useRef } from 'react'
import type { WebState } from '../api.ts'
import { Empty, Loading, usePageTitle } from '../parts.tsx'
import { useLastUser } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { AuthoritiesSection } from './authorities.tsx'
import { ExplainSection } from './explain.tsx'
import { LocksSection } from './locks.tsx'
import { OverviewSection } from './overview.tsx'
import { type SectionId, sectionsOf } from './sections.ts'
import { TokensSection } from './tokens.tsx'
import { UsersSection } from './users.tsx'
import './admin.css'

// With YAML and the schemas, which are as large as the rest.
const ResourcesSection = lazy(async () => ({ default: (await import('./resources.tsx')).ResourcesSection }))

const views = {
  overview: OverviewSection,
  users: UsersSection,
  resources: ResourcesSection,
  explain: ExplainSection,
  locks: LocksSection,
  tokens: TokensSection,
  authorities: AuthoritiesSection,
} as const satisfies Record<SectionId, unknown>

export function AdminPage({ state: present }: { state: WebState }) {
  const state = useLastUser(present)
  const { section } = useParams({ from: '/web/admin/$section' })
  const navigate = useNavigate()
  const own = sectionsOf(state.user)
  const current = own.find((id) => id === section)
  const [first] = own
  usePageTitle(current === undefined ? adminText.title : adminText.names[current], state.clusterName)
  useEffect(() => {
    if (current === undefined && first !== undefined) {
      void navigate({ to: '/web/admin/$section', params: { section: first }, replace: true })
    }
  }, [current, first, navigate])
  const nav = useRef<HTMLElement>(null)
  // On a phone the parts are a row that scrolls.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the part is another one
  useEffect(() => {
    nav.current?.querySelector('[aria-current=page]')?.scrollIntoView({ inline: 'center', block: 'nearest' })
  }, [current])
  if (current === undefined) {
    return (
      <div className="page">
        {first === undefined ? <Empty title={adminText.nothing} hint={adminText.nothingHint} /> : null}
      </div>
    )
  }
  const View = views[current]
  return (
    <div className="page admin">
      <nav aria-label={adminText.sections} className="sections" ref={nav}>
        {own.map((id) => (
          <Link key={id} to="/web/admin/$section" params={{ section: id }} search={{}}>
            {adminText.names[id]}
          </Link>
        ))}
      </nav>
      <div className="section">
        <Suspense fallback={<Loading />}>
          <View state={state} />
        </Suspense>
      </div>
    </div>
  )
}
