/** Who is shut out: made and lifted. */

import { Button, Modal, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { auth, type CallOutput, may, removed, type routes, type WebState } from '../api.ts'
import { Confirm, Empty, Loading, Problem, When } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { useLocks } from './data.ts'
import { DurationSelect, momentIn } from './duration.tsx'
import { TableHead } from './table-head.tsx'

const words = adminText.locks
const kinds = ['user', 'role', 'login', 'node', 'mfa_device'] as const
type LockRecord = CallOutput<typeof routes.getLock>

const targetText = (target: LockRecord['target']): string =>
  kinds.flatMap((kind) => (target[kind] === undefined ? [] : [`${kind} ${target[kind]}`])).join(', ')

export function LocksSection({ state }: { state: WebState }) {
  const locks = useLocks(state.user)
  const [isAdding, setAdding] = useState(false)
  const [lifting, setLifting] = useState<LockRecord>()
  useLostSession(locks.error)
  const mayLift = may(state.user, 'DELETE /v1/locks/:id')
  return (
    <>
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        {may(state.user, 'POST /v1/locks') ? (
          <Button size="sm" onClick={() => setAdding(true)}>
            {words.add}
          </Button>
        ) : null}
      </div>
      <Text c="dimmed" size="sm">
        {words.hint}
      </Text>
      <Problem error={locks.error} retry={() => locks.refetch()} />
      {locks.isPending ? <Loading rows={3} /> : null}
      {locks.data?.length === 0 ? <Empty title={words.none} /> : null}
      {locks.data === undefined || locks.data.length === 0 ? null : (
        <div className="card spaced">
          <table className="data stacked">
            <TableHead names={[words.target, words.message, words.expires, words.by]} />
            <tbody>
              {locks.data.map((lock) => (
                <tr key={lock.id}>
                  <th scope="row">{targetText(lock.target)}</th>
                  <td data-label={words.message}>{lock.message || '–'}</td>
                  <td data-label={words.expires}>
                    {lock.expires === undefined ? words.forever : <When time={lock.expires} />}
                  </td>
                  <td data-label={words.by}>{lock.createdBy}</td>
                  <td className="row-actions">
                    {mayLift ? (
                      <Button
                        size="xs"
                        variant="default"
                        aria-label={words.liftOf(targetText(lock.target))}
                        onClick={() => setLifting(lock)}
                      >
                        {words.lift}
                      </Button>
                    ) : null}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {isAdding ? <AddLock onClose={() => setAdding(false)} /> : null}
      {lifting === undefined ? null : <LiftLock lock={lifting} onClose={() => setLifting(undefined)} />}
    </>
  )
}

function AddLock({ onClose }: { onClose(): void }) {
  const client = useQueryClient()
  const [target, setTarget] = useState<Partial<Record<(typeof kinds)[number], string>>>({})
  const [message, setMessage] = useState('')
  const [ttl, setTtl] = useState('')
  const [isEmpty, setEmpty] = useState(false)
  const lock = useMutation({
    mutationFn: () => {
      const expires = momentIn(ttl)
      const set = Object.fromEntries(Object.entries(target).filter(([, value]) => value !== ''))
      return auth<typeof routes.createLock>('POST /v1/locks', {
        body: { target: set, message, ...(expires === undefined ? {} : { expires }) },
      })
    },
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['locks'] })
      onClose()
    },
  })
  useLostSession(lock.error)
  return (
    <Modal opened onClose={onClose} title={words.add} centered>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          const names = Object.values(target).some((value) => value.trim() !== '')
          setEmpty(!names)
          if (names) lock.mutate()
        }}
      >
        <Stack gap="sm">
          {kinds.map((kind, index) => (
            <TextInput
              key={kind}
              label={words.targets[kind]}
              value={target[kind] ?? ''}
              maxLength={256}
              autoCapitalize="none"
              spellCheck={false}
              onChange={(event) => setTarget({ ...target, [kind]: event.currentTarget.value })}
              {...(index === 0 ? { 'data-autofocus': true } : {})}
            />
          ))}
          <TextInput
            label={words.message}
            description={words.messageHint}
            value={message}
            maxLength={1000}
            onChange={(event) => setMessage(event.currentTarget.value)}
          />
          <DurationSelect
            label={words.lasts}
            value={ttl}
            choices={[3600, 28800, 86400, 604800]}
            forever={words.forever}
            onChange={setTtl}
          />
          <Problem error={isEmpty ? new Error(words.empty) : lock.error} />
          <Button type="submit" color="red.9" loading={lock.isPending}>
            {words.submit}
          </Button>
        </Stack>
      </form>
    </Modal>
  )
}

function LiftLock({ lock, onClose }: { lock: LockRecord; onClose(): void }) {
  const client = useQueryClient()
  const lift = useMutation({
    mutationFn: () => removed(auth<typeof routes.deleteLock>('DELETE /v1/locks/:id', { params: { id: lock.id } })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['locks'] })
      onClose()
    },
  })
  useLostSession(lift.error)
  return (
    <Confirm
      opened
      title={words.liftOf(targetText(lock.target))}
      action={words.lift}
      busy={lift.isPending}
      error={lift.error}
      onConfirm={() => lift.mutate()}
      onClose={onClose}
    >
      <Text size="sm">{words.liftHint}</Text>
    </Confirm>
  )
}
