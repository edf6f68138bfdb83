/** A new password, for the old one and the second factor. All browser sessions end with the old one. */

import { Button, Group, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { beginLogin, changePassword, type WebState } from '../api.ts'
import { Refusal } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { words } from '../text/account.ts'
import { provePassword } from './ceremony.ts'

export function Password({ state, user }: { state: WebState; user: string }) {
  const client = useQueryClient()
  const [old, setOld] = useState('')
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const [code, setCode] = useState('')
  const [isTouching, setTouching] = useState(false)
  const mayUseKey = state.secondFactor !== 'off' && state.secondFactor !== 'otp'
  /** A code that was typed, else a key if there is one. A wrong password is said before anybody looks for the key. */
  const proofFor = async (otp: string) => {
    if (otp !== '') return { otp }
    if (!mayUseKey) return {}
    const { choice } = await beginLogin(user, old)
    if (!choice.webauthn) {
      if (choice.otp) throw new Error(words.needsCode)
      return {}
    }
    setTouching(true)
    return { ceremony: await provePassword(user, old) }
  }
  const change = useMutation({
    mutationFn: async () => {
      if (password !== again) throw new Error(words.differ)
      const otp = code.replaceAll(/\s/g, '')
      await changePassword({ user, password: old, newPassword: password, ...(await proofFor(otp)) })
    },
    onSettled: () => setTouching(false),
    onSuccess: () => client.invalidateQueries(),
    onError: () => setCode(''),
  })
  useLostSession(change.error)
  return (
    <Paper className="card" p="lg" mt="md" withBorder>
      <Title order={2} size="h4">
        {words.changePassword}
      </Title>
      <Text c="dimmed" size="sm">
        {words.passwordHint}
      </Text>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          change.mutate()
        }}
      >
        <Stack gap="md" mt="md" maw="24rem">
          <Refusal error={change.error} />
          <PasswordInput
            label={words.oldPassword}
            value={old}
            onChange={(event) => setOld(event.currentTarget.value)}
            autoComplete="current-password"
            required
            withAsterisk={false}
          />
          <PasswordInput
            label={words.newPassword}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            autoComplete="new-password"
            required
            withAsterisk={false}
          />
          <PasswordInput
            label={words.again}
            value={again}
            onChange={(event) => setAgain(event.currentTarget.value)}
            autoComplete="new-password"
            required
            withAsterisk={false}
          />
          {state.secondFactor === 'off' || state.secondFactor === 'webauthn' ? null : (
            <TextInput
              label={words.code}
              description={mayUseKey ? words.codeOrKey : undefined}
              value={code}
              onChange={(event) => setCode(event.currentTarget.value)}
              inputMode="numeric"
              autoComplete="one-time-code"
              maxLength={8}
            />
          )}
          {isTouching ? (
            <Text role="status" size="sm">
              {words.touch}
            </Text>
          ) : null}
          <Group>
            <Button type="submit" loading={change.isPending}>
              {words.changePassword}
            </Button>
          </Group>
        </Stack>
      </form>
    </Paper>
  )
}
