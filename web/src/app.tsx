/** The addresses of the page, and what is shown at each. */

import { Alert, Button, Loader, MantineProvider, Text, Title } from '@mantine/core'
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
} from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { isLoggedOut } from './api.ts'
import { LoginPage } from './pages/login.tsx'
import { NodesPage } from './pages/nodes.tsx'
import { useAppState } from './session.tsx'
import { Shell } from './shell.tsx'
import { styleNonce } from './style-nonce.ts'
import { text } from './text.ts'
import { theme, variables } from './theme.ts'

const AccountPage = lazy(async () => ({ default: (await import('./account/page.tsx')).AccountPage }))

function Root() {
  const state = useAppState()
  // Of what is drawn; the address is ahead of it while a page changes.
  const isLogin = useMatches({ select: (matches) => matches.some(({ fullPath }) => fullPath === '/web/login') })
  if (state.data === undefined) {
    return (
      <main className="centre" id="content">
        {state.error === null ? (
          <Loader aria-label={text.loading} />
        ) : (
          <Alert color="red" variant="light" title={text.failed} className="refusal" role="alert">
            <Text size="sm">{state.error.message}</Text>
            <Button size="xs" mt="xs" variant="default" onClick={() => void state.refetch()}>
              {text.retry}
            </Button>
          </Alert>
        )}
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
    <Title order={1} size="h2">
      {text.notFound.title}
    </Title>
    <Text c="dimmed" my="sm">
      {text.notFound.hint}
    </Text>
    <Link to="/web/nodes" className="go">
      {text.notFound.home}
    </Link>
  </div>
)

function Login() {
  const { data } = useAppState()
  return data === undefined ? null : <LoginPage state={data} />
}
function Nodes() {
  const { data } = useAppState()
  return data === undefined ? null : <NodesPage state={data} />
}
function Account() {
  const { data } = useAppState()
  return data === undefined ? null : (
    <Suspense fallback={<Text p="md">{text.loading}</Text>}>
      <AccountPage state={data} />
    </Suspense>
  )
}

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
  createRoute({ getParentRoute: () => root, path: '/web/account', component: Account }),
]
const router = createRouter({ routeTree: root.addChildren(routes), defaultPreload: false })

const client = new QueryClient({
  defaultOptions: {
    queries: { retry: (count, error) => count < 2 && !isLoggedOut(error), refetchOnWindowFocus: true },
  },
})

export const App = () => (
  <MantineProvider
    theme={theme}
    cssVariablesResolver={variables}
    defaultColorScheme="auto"
    getStyleNonce={() => styleNonce}
  >
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </MantineProvider>
)
