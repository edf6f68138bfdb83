/** User name, password, one-time code. Refusals are shown as the proxy words them, and the form stays as it was. */

import { Alert, Button, PasswordInput, Stack, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { logIn, type WebState } from './api.ts'
import { stateKey } from './session.tsx'
import { text } from './text.ts'

const words = text.login

export function LoginForm({ state, user, onDone }: { state: WebState; user?: string; onDone?: () => void }) {
  const client = useQueryClient()
  const [name, setName] = useState(user ?? '')
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const login = useMutation({
    mutationFn: () => logIn({ user: name.trim(), password, ...(code === '' ? {} : { otp: code.replaceAll(' ', '') }) }),
    onSuccess: async () => {
      await client.invalidateQueries()
      await client.refetchQueries({ queryKey: stateKey })
      onDone?.()
    },
    // A code is good for one try.
    onError: () => setCode(''),
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        login.mutate()
      }}
    >
      <Stack gap="md">
        {login.error === null ? null : (
          <Alert color="red" variant="light" role="alert" className="refusal">
            {login.error.message}
          </Alert>
        )}
        <TextInput
          label={words.user}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          withAsterisk={false}
          readOnly={user !== undefined}
          data-autofocus={user === undefined ? true : undefined}
        />
        <PasswordInput
          label={words.password}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          autoComplete="current-password"
          required
          withAsterisk={false}
          data-autofocus={user === undefined ? undefined : true}
        />
        {state.secondFactor === 'webauthn' ? (
          <Alert color="yellow" variant="light" className="refusal">
            {words.keyOnly}
          </Alert>
        ) : null}
        {state.secondFactor === 'off' || state.secondFactor === 'webauthn' ? null : (
          <TextInput
            label={words.code}
            description={state.secondFactor === 'otp' ? words.codeHint : words.codeOptional}
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
            inputMode="numeric"
            autoComplete="one-time-code"
            maxLength={8}
            withAsterisk={false}
            required={state.secondFactor === 'otp'}
          />
        )}
        <Button type="submit" loading={login.isPending} size="md" fullWidth>
          {words.submit}
        </Button>
      </Stack>
    </form>
  )
}
