/** The way in. */

import { Paper, Text, Title } from '@mantine/core'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect } from 'react'
import type { WebState } from '../api.ts'
import { backTo } from '../back-to.ts'
import { ShieldIcon } from '../icons.tsx'
import { LoginForm } from '../login-form.tsx'
import { text } from '../text.ts'

export function LoginPage({ state }: { state: WebState }) {
  const navigate = useNavigate()
  const { to } = useSearch({ strict: false }) as { to?: unknown }
  const isLoggedIn = state.user !== undefined
  useEffect(() => {
    document.title = `${text.login.submit} · ${state.clusterName}`
    if (isLoggedIn) void navigate({ href: backTo(to), replace: true })
  }, [isLoggedIn, navigate, to, state.clusterName])
  return (
    <main className="login" id="content">
      <Paper className="card login-card" p="xl" withBorder>
        <div className="mark">
          <ShieldIcon />
          <span>{text.product}</span>
        </div>
        <Title order={1} size="h2" mt="md" mb="xs">
          {text.login.title(state.clusterName)}
        </Title>
        {state.messageOfTheDay === '' ? null : (
          <Text c="dimmed" size="sm" className="motd" mb="sm">
            {state.messageOfTheDay}
          </Text>
        )}
        <LoginForm state={state} />
        <Text c="dimmed" size="sm" mt="lg">
          {text.login.noAccount}
        </Text>
      </Paper>
    </main>
  )
}
