/** The users of the cluster: invited, changed, reset, locked and removed. */

import { ActionIcon, Badge, Button, Menu, TagsInput, Text, TextInput, Title } from '@mantine/core'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { type CallName, type CallOutput, may, type routes, type WebState } from '../api.ts'
import { ChevronIcon, SearchIcon } from '../icons.tsx'
import { Empty, Loading, Problem } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { useLocks, useRoles, useUsers } from './data.ts'
import { TableHead } from './table-head.tsx'
import { UserDevices } from './user-devices.tsx'
import { EditUser, InviteUser, LockUser, RemoveUser, ResetUser, UnlockUser } from './user-dialogs.tsx'

const words = adminText.users
export type UserRecord = CallOutput<typeof routes.getUser>
export type LockRecord = CallOutput<typeof routes.getLock>

type Dialog = 'invite' | 'edit' | 'devices' | 'reset' | 'lock' | 'unlock' | 'remove'

export function UsersSection({ state }: { state: WebState }) {
  const { search = '' } = useSearch({ from: '/web/admin/$section' })
  const navigate = useNavigate({ from: '/web/admin/$section' })
  const users = useUsers(state.user)
  const locks = useLocks(state.user)
  const roles = useRoles(state.user)
  const [dialog, setDialog] = useState<{ readonly what: Dialog; readonly user?: UserRecord }>()
  useLostSession(users.error)
  const all = users.data ?? []
  const wanted = search.toLowerCase().split(/\s+/)
  const shown = all.filter((user) => {
    const text = [user.name, ...user.roles, ...Object.values(user.traits).flat()].join(' ').toLowerCase()
    return wanted.every((word) => text.includes(word))
  })
  const close = () => setDialog(undefined)
  const about = dialog?.user
  const locksOf = (name: string) => (locks.data ?? []).filter(({ target }) => isOnly(target, name))
  const roleNames = (roles.data ?? []).map(({ metadata }) => metadata.name)
  return (
    <>
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        <div className="head-actions">
          <Text c="dimmed" size="sm" aria-live="polite">
            {users.data === undefined ? ' ' : adminText.count(shown.length, all.length)}
          </Text>
          {may(state.user, 'POST /v1/users') ? (
            <Button size="sm" onClick={() => setDialog({ what: 'invite' })}>
              {words.invite}
            </Button>
          ) : null}
        </div>
      </div>
      <TextInput
        type="search"
        aria-label={adminText.search}
        placeholder={adminText.search}
        leftSection={<SearchIcon />}
        value={search}
        onChange={(event) => {
          const { value } = event.currentTarget
          void navigate({ search: value === '' ? {} : { search: value }, replace: true })
        }}
        spellCheck={false}
      />
      <Problem error={users.error} retry={() => users.refetch()} />
      {users.isPending ? <Loading /> : null}
      {users.data !== undefined && shown.length === 0 ? <Empty title={words.none} hint={words.noMatch} /> : null}
      {shown.length === 0 ? null : (
        <div className="card spaced">
          <table className="data stacked">
            <TableHead names={[words.name, words.roles, words.logins, words.state]} />
            <tbody>
              {shown.map((user) => (
                <tr key={user.name}>
                  <th scope="row">{user.name}</th>
                  <td data-label={words.roles}>
                    <ul className="chips">
                      {user.roles.map((role) => (
                        <li key={role}>
                          <Badge variant="default" tt="none">
                            {role}
                          </Badge>
                        </li>
                      ))}
                    </ul>
                  </td>
                  <td data-label={words.logins} className="mono">
                    {(user.traits.logins ?? []).join(', ') || '–'}
                  </td>
                  <td data-label={words.state}>
                    {locksOf(user.name).length > 0 ? (
                      <span className="warn">{words.locked}</span>
                    ) : user.activated ? (
                      words.active
                    ) : (
                      <Text span c="dimmed" size="sm">
                        {words.invited}
                      </Text>
                    )}
                  </td>
                  <td className="row-actions">
                    <UserMenu
                      state={state}
                      user={user}
                      isLocked={locksOf(user.name).length > 0}
                      onChoose={(what) => setDialog({ what, user })}
                    />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {dialog?.what === 'invite' ? <InviteUser roles={roleNames} onClose={close} /> : null}
      {about === undefined ? null : (
        <>
          {dialog?.what === 'edit' ? <EditUser user={about} roles={roleNames} onClose={close} /> : null}
          {dialog?.what === 'devices' ? <UserDevices me={state.user} name={about.name} onClose={close} /> : null}
          {dialog?.what === 'reset' ? <ResetUser user={about} onClose={close} /> : null}
          {dialog?.what === 'lock' ? <LockUser user={about} onClose={close} /> : null}
          {dialog?.what === 'unlock' ? <UnlockUser user={about} locks={locksOf(about.name)} onClose={close} /> : null}
          {dialog?.what === 'remove' ? <RemoveUser user={about} onClose={close} /> : null}
        </>
      )}
    </>
  )
}

/** A lock of this user and of nothing else besides. */
const isOnly = (target: LockRecord['target'], name: string): boolean =>
  target.user === name && Object.values(target).filter((part) => part !== undefined).length === 1

function UserMenu(props: {
  readonly state: WebState
  readonly user: UserRecord
  readonly isLocked: boolean
  onChoose(what: Dialog): void
}) {
  const { state, user, isLocked, onChoose } = props
  const navigate = useNavigate()
  const items: readonly { readonly what: Dialog | 'traits'; readonly name: string; readonly needs: CallName }[] = [
    { what: 'edit', name: words.edit, needs: 'PUT /v1/users/:name' },
    { what: 'traits', name: words.all, needs: 'PUT /v1/users/:name' },
    { what: 'devices', name: adminText.devices.menu, needs: 'GET /v1/users/:name/devices' },
    { what: 'reset', name: words.reset, needs: 'POST /v1/users/:name/reset' },
    isLocked
      ? { what: 'unlock', name: words.unlock, needs: 'DELETE /v1/locks/:id' }
      : { what: 'lock', name: words.lock, needs: 'POST /v1/locks' },
    { what: 'remove', name: words.remove, needs: 'DELETE /v1/users/:name' },
  ]
  const toTraits = () =>
    navigate({
      to: '/web/admin/$section',
      params: { section: 'resources' },
      search: { kind: 'user', name: user.name },
    })
  const allowed = items.filter(({ needs }) => may(state.user, needs))
  if (allowed.length === 0) return null
  return (
    <Menu position="bottom-end" width={260} shadow="md">
      <Menu.Target>
        <ActionIcon variant="default" aria-label={adminText.actionsOf(user.name)}>
          <ChevronIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {allowed.map(({ what, name }) => (
          <Menu.Item key={what} onClick={() => (what === 'traits' ? void toTraits() : onChoose(what))}>
            {name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

/** Several words, of known ones or others. */
export const Words = (props: {
  readonly label: string
  readonly description?: string
  readonly value: readonly string[]
  readonly known?: readonly string[]
  readonly error?: string | undefined
  readonly disabled?: boolean
  onChange(value: string[]): void
}) => (
  <TagsInput
    label={props.label}
    description={props.description}
    value={[...props.value]}
    data={[...(props.known ?? [])]}
    onChange={props.onChange}
    error={props.error}
    disabled={props.disabled === true}
    // A comma is part of some of them.
    splitChars={[]}
    acceptValueOnBlur
    maxTags={256}
  />
)
