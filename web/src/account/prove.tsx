/** Asks for a second factor before something of the account is changed: a code, a recovery code, or a security key. */

import { Button, Group, PasswordInput, Stack, Text, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { FactorChoice } from '../api.ts'
import { Refusal } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { words } from '../text/account.ts'
import { type Action, type CeremonyProof, proveWithKey } from './ceremony.ts'

export interface Proof {
  readonly otp?: string
  readonly recoveryCode?: string
  readonly ceremony?: CeremonyProof
}

export interface Proven {
  readonly proof: Proof
  readonly password?: string
}

/** Digits are a code; sixteen letters and digits a recovery code. Throws an Error with words. */
export function proofOfText(text: string): Proof {
  const plain = text.replaceAll(/[\s-]/g, '')
  if (/^\d{6,8}$/.test(plain)) return { otp: plain }
  if (/^[0-9A-Za-z]{16}$/.test(plain)) return { recoveryCode: plain }
  throw new Error(words.badCode)
}

export function Prove({
  choice,
  action,
  submit,
  run,
}: {
  choice: FactorChoice
  action: Action
  submit: string
  /** What the proof is for. Rejects with what is to be shown. */
  run(proven: Proven): Promise<void>
}) {
  const [code, setCode] = useState('')
  const [password, setPassword] = useState('')
  const hasText = choice.otp || choice.recoveryCode
  const hasNothing = !hasText && !choice.webauthn
  const prove = useMutation({
    mutationFn: async (how: 'text' | 'key') => {
      if (hasNothing) return run({ proof: {}, password })
      return run({ proof: how === 'key' ? { ceremony: await proveWithKey(action) } : proofOfText(code) })
    },
    // A code is good for one try.
    onError: () => setCode(''),
  })
  useLostSession(prove.error)
  const how = hasText || hasNothing ? 'text' : 'key'
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        prove.mutate(how)
      }}
    >
      <Stack gap="md">
        <Text size="sm">{hasNothing ? words.provePassword : words.proveFirst}</Text>
        <Refusal error={prove.error} />
        {hasNothing ? (
          <PasswordInput
            label={words.password}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            autoComplete="current-password"
            required
            withAsterisk={false}
            data-autofocus
          />
        ) : null}
        {hasText ? (
          <TextInput
            label={choice.otp ? (choice.recoveryCode ? words.codeOrRecovery : words.code) : words.recoveryCode}
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
            autoComplete="one-time-code"
            spellCheck={false}
            maxLength={32}
            required
            withAsterisk={false}
            data-autofocus
          />
        ) : null}
        {prove.isPending && prove.variables === 'key' ? (
          <Text role="status" size="sm">
            {words.touch}
          </Text>
        ) : null}
        <Group gap="sm">
          {hasText || hasNothing ? (
            <Button type="submit" loading={prove.isPending && prove.variables === 'text'}>
              {submit}
            </Button>
          ) : null}
          {choice.webauthn ? (
            <Button
              variant={hasText ? 'default' : 'filled'}
              type={hasText ? 'button' : 'submit'}
              loading={prove.isPending && prove.variables === 'key'}
              onClick={hasText ? () => prove.mutate('key') : undefined}
            >
              {words.useKey}
            </Button>
          ) : null}
        </Group>
      </Stack>
    </form>
  )
}
