/** The addresses of the page, and what is shown at each. */

import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  Outlet,
  RouterProvider,
  redirect,
  useMatches,
  useParams,
  useSearch,
} from '@tanstack/react-router'
import { type ComponentType, lazy, Suspense } from 'react'
import { readAdminSearch } from './admin/search.ts'
import { isLoggedOut, type WebState } from './api.ts'
import { readFilters as readAuditFilters } from './audit/filters.ts'
import { Beginning, Coming, LoginBeginning } from './beginning.tsx'
import { Colours } from './colours.tsx'
import { NodesPage } from './pages/nodes.tsx'
import { readAt, readFilters } from './recordings/filters.ts'
import { readState } from './requests/state.ts'
import { stateQuery, useAppState } from './session.tsx'
import { readMode } from './sessions/since.ts'
import { Shell } from './shell.tsx'
import { text } from './text.ts'
import { Trouble } from './trouble.tsx'

const AccountPage = lazy(async () => ({ default: (await import('./account/page.tsx')).AccountPage }))

function Root() {
  const state = useAppState()
  // Of what is drawn; the address is ahead of it while a page changes.
  const isLogin = useMatches({ select: (matches) => matches.some(({ fullPath }) => fullPath === '/web/login') })
  if (state.data === undefined) {
    if (state.error === null) return <Beginning />
    return (
      <main className="centre" id="content">
        <Trouble error={state.error} retry={state.refetch} />
      </main>
    )
  }
  if (isLogin) return <Outlet />
  return (
    <Shell state={state.data}>
      <Outlet />
    </Shell>
  )
}

const NotFound = () => (
  <div className="page">
    <h1 className="h2">{text.notFound.title}</h1>
    <p className="dim">{text.notFound.hint}</p>
    <Link to="/web/nodes" className="go">
      {text.notFound.home}
    </Link>
  </div>
)

function Nodes() {
  const { data } = useAppState()
  return data === undefined ? null : <NodesPage state={data} />
}
const LazyRecordings = lazy(async () => ({ default: (await import('./recordings/page.tsx')).RecordingsPage }))
const LazyPlayer = lazy(async () => ({ default: (await import('./recordings/player-page.tsx')).PlayerPage }))

function Recordings() {
  const { data } = useAppState()
  const filters = useSearch({ from: '/web/recordings' })
  return data === undefined ? null : (
    <Suspense fallback={<Coming />}>
      <LazyRecordings state={data} filters={filters} />
    </Suspense>
  )
}
function Player() {
  const { data } = useAppState()
  const { sid } = useParams({ from: '/web/recordings/$sid' })
  const { at = 0 } = useSearch({ from: '/web/recordings/$sid' })
  return data === undefined ? null : (
    <Suspense fallback={<Coming />}>
      <LazyPlayer key={sid} state={data} sid={sid} at={at} />
    </Suspense>
  )
}
const LazySessions = lazy(async () => ({ default: (await import('./sessions/page.tsx')).SessionsPage }))
const LazySession = lazy(async () => ({ default: (await import('./sessions/session-page.tsx')).SessionPage }))

function Sessions() {
  const { data } = useAppState()
  return data === undefined ? null : (
    <Suspense fallback={<Coming />}>
      <LazySessions state={data} />
    </Suspense>
  )
}
function Session() {
  const { data } = useAppState()
  const { sid } = useParams({ from: '/web/sessions/$sid' })
  const { mode } = useSearch({ from: '/web/sessions/$sid' })
  return data === undefined ? null : (
    <Suspense fallback={<Coming />}>
      <LazySession key={sid} state={data} sid={sid} mode={mode} />
    </Suspense>
  )
}
function Account() {
  const { data } = useAppState()
  return data === undefined ? null : (
    <Suspense fallback={<Coming />}>
      <AccountPage state={data} />
    </Suspense>
  )
}

const loadLogin = async () => ({ default: (await import('./pages/login.tsx')).LoginPage })
const LazyLogin = lazy(loadLogin)

function Login() {
  const { data } = useAppState()
  return data === undefined ? null : (
    <Suspense fallback={<LoginBeginning clusterName={data.clusterName} secondFactor={data.secondFactor} />}>
      <LazyLogin state={data} />
    </Suspense>
  )
}

/** A page that is loaded when somebody goes there. */
function later(load: () => Promise<ComponentType<{ state: WebState }>>) {
  const Page = lazy(async () => ({ default: await load() }))
  return function Later() {
    const { data } = useAppState()
    return data === undefined ? null : (
      <Suspense fallback={<Coming />}>
        <Page state={data} />
      </Suspense>
    )
  }
}
const Audit = later(async () => (await import('./audit/page.tsx')).AuditPage)
const Admin = later(async () => (await import('./admin/page.tsx')).AdminPage)
const Requests = later(async () => (await import('./requests/page.tsx')).RequestsPage)
const ApiDocs = later(async () => (await import('./api-docs/page.tsx')).ApiDocsPage)

const root = createRootRoute({ component: Root, notFoundComponent: NotFound })
const routes = [
  createRoute({
    getParentRoute: () => root,
    path: '/web',
    beforeLoad: () => {
      throw redirect({ to: '/web/nodes' })
    },
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/web/login',
    component: Login,
    validateSearch: ({ to }: Record<string, unknown>): { to?: string } => (typeof to === 'string' ? { to } : {}),
  }),
  createRoute({ getParentRoute: () => root, path: '/web/nodes', component: Nodes }),
  // Terminals are drawn by the shell, which outlives the page.
  createRoute({ getParentRoute: () => root, path: '/web/terminal', component: () => null }),
  createRoute({ getParentRoute: () => root, path: '/web/sessions', component: Sessions }),
  createRoute({
    getParentRoute: () => root,
    path: '/web/sessions/$sid',
    component: Session,
    validateSearch: readMode,
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/web/recordings',
    component: Recordings,
    validateSearch: readFilters,
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/web/recordings/$sid',
    component: Player,
    validateSearch: readAt,
  }),
  createRoute({ getParentRoute: () => root, path: '/web/account', component: Account }),
  createRoute({ getParentRoute: () => root, path: '/web/audit', component: Audit, validateSearch: readAuditFilters }),
  createRoute({ getParentRoute: () => root, path: '/web/requests', component: Requests, validateSearch: readState }),
  createRoute({
    getParentRoute: () => root,
    path: '/web/admin',
    beforeLoad: () => {
      throw redirect({ to: '/web/admin/$section', params: { section: 'overview' } })
    },
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/web/admin/$section',
    component: Admin,
    validateSearch: readAdminSearch,
  }),
  createRoute({ getParentRoute: () => root, path: '/docs/api', component: ApiDocs }),
]
const router = createRouter({ routeTree: root.addChildren(routes), defaultPreload: false })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

const client = new QueryClient({
  defaultOptions: {
    queries: { retry: (count, error) => count < 2 && !isLoggedOut(error), refetchOnWindowFocus: true },
  },
})

/** What is needed before anything can be drawn: once drawn is sooner than twice. Never rejects: a failure is drawn too. */
export async function begin(): Promise<void> {
  const isLogin = location.pathname === '/web/login'
  await Promise.allSettled([
    client.prefetchQuery({ ...stateQuery, retry: false }),
    router.load(),
    ...(isLogin ? [loadLogin()] : []),
  ])
}

export const App = () => (
  <Colours>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </Colours>
)
