/** What is done to one user, each in a dialog that says what it does. */

import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { ApiError, auth, removed, type routes } from '../api.ts'
import { Confirm, CopyButton, Problem } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { DurationSelect, momentIn } from './duration.tsx'
import type { LockRecord, UserRecord } from './users.tsx'
import { Words } from './users.tsx'

const words = adminText.users

interface About {
  readonly user: UserRecord
  onClose(): void
}

/** Does it, then closes; what is listed is asked for again. */
function useChange<T>(change: () => Promise<T>, onDone?: (result: T) => void) {
  const client = useQueryClient()
  const mutation = useMutation({
    mutationFn: change,
    onSuccess: async (result) => {
      await Promise.all([
        client.invalidateQueries({ queryKey: ['users'] }),
        client.invalidateQueries({ queryKey: ['locks'] }),
      ])
      onDone?.(result)
    },
  })
  useLostSession(mutation.error)
  return mutation
}

function Dialog(props: {
  readonly title: string
  readonly action: string
  readonly busy: boolean
  readonly error: Error | null
  readonly children: ReactNode
  onSubmit(): void
  onClose(): void
}) {
  return (
    <Modal opened onClose={props.onClose} title={props.title} centered>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          props.onSubmit()
        }}
      >
        <Stack gap="sm">
          {props.children}
          <Problem error={props.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={props.onClose}>
              {adminText.cancel}
            </Button>
            <Button type="submit" loading={props.busy}>
              {props.action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** A link is shown this once. */
const LinkShown = (props: { user: string; url: string; expires: string; onClose(): void }) => (
  <Modal opened onClose={props.onClose} title={words.link} centered>
    <Text size="sm">{words.linkHint(props.user, moment.format(new Date(props.expires)))}</Text>
    <pre className="command">{props.url}</pre>
    <Group justify="flex-end">
      <CopyButton size="sm" value={props.url} />
      <Button onClick={props.onClose}>{adminText.close}</Button>
    </Group>
  </Modal>
)

export function InviteUser({ roles, onClose }: { roles: readonly string[]; onClose(): void }) {
  const [name, setName] = useState('')
  const [picked, setPicked] = useState<string[]>()
  // Until somebody picks others; the list of roles may come later than the dialog.
  const chosen = picked ?? (roles.includes('access') ? ['access'] : [])
  const [logins, setLogins] = useState<string[]>([])
  const [ttl, setTtl] = useState('3600')
  const create = useChange(() =>
    auth<typeof routes.createUser>('POST /v1/users', {
      body: { name: name.trim(), roles: chosen, traits: { logins }, inviteTtlSeconds: Number(ttl) },
    }),
  )
  const invite = create.data?.invite
  if (invite !== undefined) {
    return <LinkShown user={invite.user} url={invite.url} expires={invite.expires} onClose={onClose} />
  }
  return (
    <Dialog
      title={words.invite}
      action={words.make}
      busy={create.isPending}
      error={create.error}
      onSubmit={() => {
        if (chosen.length > 0) create.mutate()
      }}
      onClose={onClose}
    >
      <Text size="sm" c="dimmed">
        {words.inviteHint}
      </Text>
      <TextInput
        label={words.name}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
        required
        withAsterisk={false}
        data-autofocus
      />
      <Words
        label={words.roles}
        value={chosen}
        known={roles}
        onChange={setPicked}
        error={chosen.length === 0 ? words.required : undefined}
      />
      <Words label={words.logins} description={words.loginsHint} value={logins} onChange={setLogins} />
      <DurationSelect label={adminText.validity} value={ttl} choices={[3600, 28800, 86400, 172800]} onChange={setTtl} />
    </Dialog>
  )
}

export function EditUser({ user, roles, onClose }: About & { roles: readonly string[] }) {
  const [chosen, setChosen] = useState<string[]>(user.roles)
  const [logins, setLogins] = useState<string[]>(user.traits.logins ?? [])
  const save = useChange(
    () =>
      auth<typeof routes.putUser>('PUT /v1/users/:name', {
        params: { name: user.name },
        body: {
          roles: chosen,
          traits: { ...user.traits, logins },
          ...(user.revision === undefined ? {} : { revision: user.revision }),
        },
      }),
    onClose,
  )
  const isConflict = save.error instanceof ApiError && save.error.status === 409
  return (
    <Dialog
      title={words.editOf(user.name)}
      action={adminText.save}
      busy={save.isPending}
      error={isConflict ? new Error(`${save.error?.message ?? ''}\n${words.conflict}`) : save.error}
      onSubmit={() => {
        if (chosen.length > 0) save.mutate()
      }}
      onClose={onClose}
    >
      <Words
        label={words.roles}
        value={chosen}
        known={roles}
        onChange={setChosen}
        error={chosen.length === 0 ? words.required : undefined}
      />
      <Words label={words.logins} description={words.loginsHint} value={logins} onChange={setLogins} />
    </Dialog>
  )
}

export function ResetUser({ user, onClose }: About) {
  const [ttl, setTtl] = useState('28800')
  const reset = useChange(() =>
    auth<typeof routes.resetUser>('POST /v1/users/:name/reset', {
      params: { name: user.name },
      body: { ttlSeconds: Number(ttl) },
    }),
  )
  if (reset.data !== undefined) {
    return <LinkShown user={user.name} url={reset.data.url} expires={reset.data.expires} onClose={onClose} />
  }
  return (
    <Dialog
      title={words.resetOf(user.name)}
      action={words.make}
      busy={reset.isPending}
      error={reset.error}
      onSubmit={() => reset.mutate()}
      onClose={onClose}
    >
      <Text size="sm">{words.resetHint}</Text>
      <DurationSelect label={adminText.validity} value={ttl} choices={[3600, 28800, 86400]} onChange={setTtl} />
    </Dialog>
  )
}

export function LockUser({ user, onClose }: About) {
  const [message, setMessage] = useState('')
  const [ttl, setTtl] = useState('')
  const lock = useChange(() => {
    const expires = momentIn(ttl)
    return auth<typeof routes.createLock>('POST /v1/locks', {
      body: { target: { user: user.name }, message, ...(expires === undefined ? {} : { expires }) },
    })
  }, onClose)
  return (
    <Dialog
      title={words.lockOf(user.name)}
      action={words.lock}
      busy={lock.isPending}
      error={lock.error}
      onSubmit={() => lock.mutate()}
      onClose={onClose}
    >
      <Text size="sm">{adminText.locks.hint}</Text>
      <TextInput
        label={adminText.locks.message}
        description={adminText.locks.messageHint}
        value={message}
        maxLength={1000}
        onChange={(event) => setMessage(event.currentTarget.value)}
        data-autofocus
      />
      <DurationSelect
        label={adminText.locks.lasts}
        value={ttl}
        choices={[3600, 28800, 86400, 604800]}
        forever={adminText.locks.forever}
        onChange={setTtl}
      />
    </Dialog>
  )
}

export function UnlockUser({ user, locks, onClose }: About & { locks: readonly LockRecord[] }) {
  const lift = useChange(async () => {
    for (const { id } of locks)
      await removed(auth<typeof routes.deleteLock>('DELETE /v1/locks/:id', { params: { id } }))
  }, onClose)
  return (
    <Confirm
      opened
      title={adminText.locks.liftOf(user.name)}
      action={words.unlock}
      busy={lift.isPending}
      error={lift.error}
      onConfirm={() => lift.mutate()}
      onClose={onClose}
    >
      <Text size="sm">{adminText.locks.liftHint}</Text>
    </Confirm>
  )
}

export function RemoveUser({ user, onClose }: About) {
  const remove = useChange(
    () => removed(auth<typeof routes.deleteUser>('DELETE /v1/users/:name', { params: { name: user.name } })),
    onClose,
  )
  return (
    <Confirm
      opened
      title={words.removeOf(user.name)}
      action={words.remove}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <Text size="sm">{words.removeHint}</Text>
    </Confirm>
  )
}
