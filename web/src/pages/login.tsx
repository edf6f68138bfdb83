/** The way in. */

import { Button, Paper, Text, Title } from '@mantine/core'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import type { WebState } from '../api.ts'
import { backTo } from '../back-to.ts'
import { ShieldIcon } from '../icons.tsx'
import { LoginForm } from '../login-form.tsx'
import { text } from '../text.ts'

const readKey = 'teleport.message-read'

export function LoginPage({ state }: { state: WebState }) {
  const navigate = useNavigate()
  const { to } = useSearch({ strict: false }) as { to?: unknown }
  const isLoggedIn = state.user !== undefined
  // What the cluster has to say is read before anybody logs in, once for each window and wording.
  const message = state.messageOfTheDay.trim()
  const [read, setRead] = useState(() => sessionStorage.getItem(readKey) ?? '')
  const hasRead = message === '' || read === message
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
        {message === '' ? null : (
          <Text c="dimmed" size="sm" className="motd" mb="sm">
            {message}
          </Text>
        )}
        {hasRead ? (
          <LoginForm state={state} />
        ) : (
          <Button
            fullWidth
            size="md"
            onClick={() => {
              sessionStorage.setItem(readKey, message)
              setRead(message)
            }}
          >
            {text.login.acknowledge}
          </Button>
        )}
        <Text c="dimmed" size="sm" mt="lg">
          {text.login.noAccount}
        </Text>
      </Paper>
    </main>
  )
}
