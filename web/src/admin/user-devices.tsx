/** The second factors of one user: which there are, and how one that was lost is removed. */

import { Button, Group, Modal, Skeleton, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { auth, type CallOutput, may, removed, type routes, type WebUser } from '../api.ts'
import { Confirm, Problem, When } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'

const words = adminText.devices

type Device = CallOutput<typeof routes.listUserDevices>['items'][number]

export function UserDevices(props: { readonly me: WebUser | undefined; readonly name: string; onClose(): void }) {
  const { me, name, onClose } = props
  const client = useQueryClient()
  const queryKey = ['user-devices', name]
  const devices = useQuery({
    queryKey,
    queryFn: ({ signal }) =>
      auth<typeof routes.listUserDevices>('GET /v1/users/:name/devices', { params: { name } }, { signal }),
  })
  const [doomed, setDoomed] = useState<Device>()
  const remove = useMutation({
    mutationFn: (id: string) =>
      removed(auth<typeof routes.removeUserDevice>('DELETE /v1/users/:name/devices/:id', { params: { name, id } })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey })
      setDoomed(undefined)
    },
  })
  useLostSession(devices.error ?? remove.error)
  const items = devices.data?.items ?? []
  if (doomed !== undefined) {
    return (
      <Confirm
        opened
        title={words.removeOf(doomed.name, name)}
        action={words.remove}
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(doomed.id)}
        onClose={() => {
          remove.reset()
          setDoomed(undefined)
        }}
      >
        <Text size="sm">{items.length === 1 ? words.removeLastHint : words.removeHint}</Text>
      </Confirm>
    )
  }
  return (
    <Modal opened onClose={onClose} title={words.titleOf(name)} centered>
      <Problem error={devices.error} retry={() => devices.refetch()} />
      {devices.isPending ? <Skeleton height={96} /> : null}
      {devices.data === undefined ? null : (
        <>
          {items.length === 0 ? <Text size="sm">{words.none}</Text> : null}
          <ul className="user-devices">
            {items.map((device) => (
              <li key={device.id}>
                <div>
                  <Text fw={600}>{device.name}</Text>
                  <Text size="sm">{words.kinds[device.kind]}</Text>
                  <Text c="dimmed" size="sm">
                    {words.added} <When time={device.addedAt} />
                  </Text>
                  <Text c="dimmed" size="sm">
                    {device.lastUsed === undefined ? (
                      words.neverUsed
                    ) : (
                      <>
                        {words.lastUsed} <When time={device.lastUsed} />
                      </>
                    )}
                  </Text>
                </div>
                {may(me, 'DELETE /v1/users/:name/devices/:id') ? (
                  <Button
                    size="xs"
                    variant="default"
                    aria-label={words.removeNamed(device.name)}
                    onClick={() => setDoomed(device)}
                  >
                    {words.remove}
                  </Button>
                ) : null}
              </li>
            ))}
          </ul>
          <Group justify="space-between" mt="md">
            <Text c="dimmed" size="sm">
              {words.codesLeft(devices.data.recoveryCodes)}
            </Text>
            <Button onClick={onClose}>{adminText.close}</Button>
          </Group>
        </>
      )}
    </Modal>
  )
}
