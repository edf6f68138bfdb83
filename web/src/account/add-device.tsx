/** Another second factor: a proof of one that is there, then the new one. */

import { Button, Code, Group, Stack, Text, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { create } from 'qrcode'
import { useState } from 'react'
import { auth, type FactorChoice, type routes } from '../api.ts'
import { Refusal } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { words } from '../text/account.ts'
import { callback, finishCeremony } from './ceremony.ts'
import { Prove } from './prove.tsx'

interface Begun {
  readonly totp?: { readonly registration: string; readonly secret: string; readonly uri: string } | undefined
  readonly ceremony?: { readonly id: string; readonly secret: string } | undefined
  readonly state: string
}

export function AddDevice({
  kind,
  name,
  choice,
  onCodes,
  onDone,
}: {
  kind: 'totp' | 'webauthn'
  name: string
  choice: FactorChoice
  onCodes(codes: readonly string[]): void
  onDone(): void
}) {
  const [begun, setBegun] = useState<Begun>()
  const [code, setCode] = useState('')
  const action = { kind: 'add_device', device: kind, name } as const
  const add = useMutation({
    mutationFn: async () => {
      if (begun?.totp !== undefined) {
        const totp = { registration: begun.totp.registration, code: code.replaceAll(/\s/g, '') }
        return auth<typeof routes.addMfaDevice>('POST /v1/mfa/devices', { body: { action, totp } })
      }
      if (begun?.ceremony === undefined) throw new Error(words.keyNotAnswered)
      const ceremony = await finishCeremony(begun.ceremony, begun.state)
      return auth<typeof routes.addMfaDevice>('POST /v1/mfa/devices', { body: { action, ceremony } })
    },
    onSuccess: ({ recoveryCodes }) => (recoveryCodes === undefined ? onDone() : onCodes(recoveryCodes)),
    onError: () => setCode(''),
  })
  useLostSession(add.error)
  if (begun === undefined) {
    return (
      <Prove
        choice={choice}
        action={action}
        submit={words.goOn}
        run={async ({ proof, password }) => {
          const back = callback()
          const body = {
            action,
            proof,
            ...(password === undefined ? {} : { password }),
            ...(kind === 'webauthn' ? { callback: back } : {}),
          }
          const answer = await auth<typeof routes.beginMfaDevice>('POST /v1/mfa/devices/begin', { body })
          setBegun({ ...answer, state: back.state })
        }}
      />
    )
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        add.mutate()
      }}
    >
      <Stack gap="md">
        <Refusal error={add.error} />
        {begun.totp === undefined ? (
          <Text size="sm" role="status">
            {words.keyTouchNew}
          </Text>
        ) : (
          <>
            <Text size="sm">{words.scan}</Text>
            <Qr content={begun.totp.uri} />
            <Text size="sm">
              {words.secret}: <Code className="secret">{begun.totp.secret}</Code>
            </Text>
            <TextInput
              label={words.appCode}
              value={code}
              onChange={(event) => setCode(event.currentTarget.value)}
              inputMode="numeric"
              autoComplete="one-time-code"
              maxLength={12}
              required
              withAsterisk={false}
            />
          </>
        )}
        <Group>
          <Button type="submit" loading={add.isPending}>
            {begun.totp === undefined ? words.createKey : words.finish}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

/** Drawn as one path: no image of any origin. Readers need four light modules around it. */
function Qr({ content }: { content: string }) {
  const { size, data } = create(content, { errorCorrectionLevel: 'L' }).modules
  const dark: string[] = []
  for (let at = 0; at < size * size; at++) {
    if (data[at] === 1) dark.push(`M${at % size} ${Math.floor(at / size)}h1v1h-1z`)
  }
  return (
    <svg className="qr" viewBox={`-4 -4 ${size + 8} ${size + 8}`} role="img" aria-label={words.qr}>
      <rect x="-4" y="-4" width={size + 8} height={size + 8} fill="#fff" />
      <path d={dark.join('')} fill="#000" />
    </svg>
  )
}
