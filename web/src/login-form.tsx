/** User name, password, second factor: a code, a security key, a recovery code. Refusals are shown as the proxy words them, and the form stays as it was. */

import { Alert, Button, PasswordInput, Stack, Text, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { beginLogin, logIn, type WebState } from './api.ts'
import { askKey } from './keys.ts'
import { stateKey } from './session.tsx'
import { codeHints, text } from './text.ts'

const words = text.login

export function LoginForm({ state, user, onDone }: { state: WebState; user?: string; onDone?: () => void }) {
  const client = useQueryClient()
  const [name, setName] = useState(user ?? '')
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const [isRecovery, setRecovery] = useState(false)
  const [isTouching, setTouching] = useState(false)
  const { secondFactor } = state
  const mayUseKey = secondFactor !== 'off' && secondFactor !== 'otp'
  const login = useMutation({
    mutationFn: async () => {
      const named = { user: name.trim(), password }
      const typed = code.replaceAll(/[\s-]/g, '')
      if (typed !== '') return logIn({ ...named, ...(isRecovery ? { recoveryCode: typed } : { otp: typed }) })
      if (!mayUseKey) return logIn(named)
      const { choice, webauthn } = await beginLogin(named.user, password)
      if (webauthn === undefined) {
        if (choice.otp) throw new Error(words.needsCode)
        return logIn(named)
      }
      setTouching(true)
      return logIn({ ...named, webauthn: await askKey(webauthn) })
    },
    onSettled: () => setTouching(false),
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
        {secondFactor === 'off' || (secondFactor === 'webauthn' && !isRecovery) ? null : (
          <TextInput
            label={isRecovery ? words.recovery : words.code}
            description={isRecovery ? words.recoveryHint : codeHints[secondFactor]}
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
            inputMode={isRecovery ? 'text' : 'numeric'}
            autoComplete={isRecovery ? 'off' : 'one-time-code'}
            maxLength={isRecovery ? 32 : 8}
            spellCheck={false}
            withAsterisk={false}
            required={isRecovery || secondFactor === 'otp'}
          />
        )}
        {secondFactor === 'webauthn' && !isRecovery && !isTouching ? (
          <Text size="sm" c="dimmed">
            {words.keyNext}
          </Text>
        ) : null}
        {isTouching ? (
          <Text role="status" size="sm">
            {words.touch}
          </Text>
        ) : null}
        <Button type="submit" loading={login.isPending} size="md" fullWidth>
          {words.submit}
        </Button>
        {secondFactor === 'off' ? null : (
          <Button
            variant="subtle"
            size="compact-sm"
            className="quiet"
            onClick={() => {
              setCode('')
              setRecovery(!isRecovery)
            }}
          >
            {isRecovery ? words.useCode : words.useRecovery}
          </Button>
        )}
      </Stack>
    </form>
  )
}
