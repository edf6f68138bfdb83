/** One's second factors: which there are, another one, one less, recovery codes anew. */

import { Alert, Badge, Button, Group, Modal, Paper, Skeleton, Stack, Text, TextInput, Title } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { CallOutput } from '../../../src/api/web-calls.ts'
import { auth, type FactorChoice, type routes, type WebState } from '../api.ts'
import { useLostSession } from '../session.tsx'
import { words } from '../text/account.ts'
import { text } from '../text.ts'
import { AddDevice } from './add-device.tsx'
import { Codes } from './codes.tsx'
import { Prove } from './prove.tsx'

type Device = CallOutput<typeof routes.listMfaDevices>['items'][number]
type Doing =
  | { readonly kind: 'add'; readonly device: 'totp' | 'webauthn' }
  | { readonly kind: 'remove'; readonly device: Device }
  | { readonly kind: 'codes' }

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })
const dayOf = (time: string): string => day.format(new Date(time))

export function Devices({ user, secondFactor }: { user: string; secondFactor: WebState['secondFactor'] }) {
  const client = useQueryClient()
  const key = ['devices', user]
  const query = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => auth<typeof routes.listMfaDevices>('GET /v1/mfa/devices', {}, { signal }),
  })
  useLostSession(query.error)
  const [doing, setDoing] = useState<Doing>()
  const changed = () => client.invalidateQueries({ queryKey: key })
  const { data } = query
  return (
    <Paper className="card" p="lg" mt="md" withBorder>
      <Title order={2} size="h4">
        {words.devices}
      </Title>
      <Text c="dimmed" size="sm">
        {secondFactor === 'off' ? words.devicesOff : words.devicesHint}
      </Text>
      {query.error === null ? null : (
        <Alert color="red" variant="light" role="alert" mt="md" className="refusal" title={text.failed}>
          {query.error.message}
        </Alert>
      )}
      {query.isPending ? <Skeleton height={48} mt="md" /> : null}
      {data === undefined ? null : (
        <>
          <ul className="devices">
            {data.items.map((device) => (
              <li key={device.id}>
                <div>
                  <Text fw={600}>{device.name}</Text>
                  <Text c="dimmed" size="sm">
                    {words.added(dayOf(device.addedAt))},{' '}
                    {device.lastUsed === undefined ? words.neverUsed : words.lastUsed(dayOf(device.lastUsed))}
                  </Text>
                </div>
                <Badge variant="default" tt="none">
                  {words.kinds[device.kind]}
                </Badge>
                {secondFactor === 'off' ? null : (
                  <Button
                    size="xs"
                    variant="default"
                    aria-label={words.removeNamed(device.name)}
                    onClick={() => setDoing({ kind: 'remove', device })}
                  >
                    {words.remove}
                  </Button>
                )}
              </li>
            ))}
          </ul>
          {data.items.length === 0 ? <Text my="sm">{words.noDevices}</Text> : null}
          {secondFactor === 'off' ? null : (
            <Group gap="sm" mt="md">
              {secondFactor === 'webauthn' ? null : (
                <Button size="sm" onClick={() => setDoing({ kind: 'add', device: 'totp' })}>
                  {words.addApp}
                </Button>
              )}
              {secondFactor === 'otp' ? null : (
                <Button size="sm" onClick={() => setDoing({ kind: 'add', device: 'webauthn' })}>
                  {words.addKey}
                </Button>
              )}
              <Button size="sm" variant="default" onClick={() => setDoing({ kind: 'codes' })}>
                {words.newCodes}
              </Button>
              <Text c="dimmed" size="sm">
                {words.codesLeft(data.recoveryCodes)}
              </Text>
            </Group>
          )}
          {doing === undefined ? null : (
            <Dialog
              doing={doing}
              choice={data.choice}
              onClose={() => {
                setDoing(undefined)
                void changed()
              }}
            />
          )}
        </>
      )}
    </Paper>
  )
}

function Dialog({ doing, choice, onClose }: { doing: Doing; choice: FactorChoice; onClose(): void }) {
  const [codes, setCodes] = useState<readonly string[]>()
  return (
    <Modal opened onClose={onClose} title={titleOf(doing)} centered closeButtonProps={{ 'aria-label': words.close }}>
      {codes === undefined ? (
        <Body doing={doing} choice={choice} onCodes={setCodes} onDone={onClose} />
      ) : (
        <Codes codes={codes} onClose={onClose} />
      )}
    </Modal>
  )
}

function titleOf(doing: Doing): string {
  switch (doing.kind) {
    case 'add':
      return doing.device === 'totp' ? words.addApp : words.addKey
    case 'remove':
      return words.removeTitle(doing.device.name)
    case 'codes':
      return words.newCodesTitle
  }
}

function Body({
  doing,
  choice,
  onCodes,
  onDone,
}: {
  doing: Doing
  choice: FactorChoice
  onCodes(codes: readonly string[]): void
  onDone(): void
}) {
  const [name, setName] = useState('')
  const [named, setNamed] = useState(false)
  switch (doing.kind) {
    case 'remove': {
      const action = { kind: 'remove_device', device: doing.device.id } as const
      return (
        <Prove
          choice={choice}
          action={action}
          submit={words.remove}
          run={async ({ proof }) => {
            await auth<typeof routes.removeMfaDevice>('POST /v1/mfa/devices/remove', { body: { action, proof } })
            onDone()
          }}
        />
      )
    }
    case 'codes':
      return (
        <Stack gap="md">
          <Text size="sm">{words.newCodesHint}</Text>
          <Prove
            choice={choice}
            action={{ kind: 'recovery_codes' }}
            submit={words.newCodes}
            run={async ({ proof }) => {
              const made = await auth<typeof routes.newRecoveryCodes>('POST /v1/mfa/recovery-codes', {
                body: { proof },
              })
              onCodes(made.codes)
            }}
          />
        </Stack>
      )
    case 'add':
      if (named) return <AddDevice kind={doing.device} name={name} choice={choice} onCodes={onCodes} onDone={onDone} />
      return (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            setName(name.trim())
            setNamed(name.trim() !== '')
          }}
        >
          <Stack gap="md">
            <TextInput
              label={words.deviceName}
              description={words.deviceNameHint}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              maxLength={64}
              required
              withAsterisk={false}
              data-autofocus
            />
            <Group>
              <Button type="submit">{words.goOn}</Button>
            </Group>
          </Stack>
        </form>
      )
  }
}
