/** The way in. */

import { Button } from '@mantine/core'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import type { WebState } from '../api.ts'
import { backTo } from '../back-to.ts'
import { LoginCard } from '../beginning.tsx'
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
    <LoginCard clusterName={state.clusterName}>
      {message === '' ? null : <p className="dim small motd">{message}</p>}
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
    </LoginCard>
  )
}
