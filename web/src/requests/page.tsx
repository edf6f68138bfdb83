/** Roles for a limited time: asked for by whoever may, decided by whoever must, watched by both. */

import {
  Badge,
  Button,
  Checkbox,
  Group,
  Modal,
  NativeSelect,
  Stack,
  TagsInput,
  Text,
  Textarea,
  Title,
} from '@mantine/core'
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { assumeRequests, auth, type CallOutput, may, removed, type routes, type WebState } from '../api.ts'
import { Confirm, CopyButton, Empty, Loading, Problem, usePageTitle, When } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { requestsText } from '../text/requests.ts'
import { readState, states } from './state.ts'
import './requests.css'

const words = requestsText
type AccessRequest = CallOutput<typeof routes.getAccessRequest>
const colours = { pending: 'yellow', approved: 'green', denied: 'red' } as const

export function RequestsPage({ state }: { state: WebState }) {
  const { state: chosen } = useSearch({ from: '/web/requests' })
  const navigate = useNavigate({ from: '/web/requests' })
  const [isAsking, setAsking] = useState(false)
  const [deciding, setDeciding] = useState<{ readonly request: AccessRequest; readonly approve: boolean }>()
  const [leaving, setLeaving] = useState<AccessRequest>()
  usePageTitle(words.title, state.clusterName)
  const name = state.user?.name
  const requests = useInfiniteQuery({
    queryKey: ['requests', name, chosen],
    queryFn: ({ pageParam, signal }) =>
      auth<typeof routes.listAccessRequests>(
        'GET /v1/access-requests',
        {
          query: {
            ...(chosen === undefined ? {} : { state: chosen }),
            ...(pageParam === undefined ? {} : { after: pageParam }),
          },
        },
        { signal, background: true },
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next,
    refetchInterval: 5_000,
    enabled: name !== undefined,
  })
  useLostSession(requests.error)
  const items = (requests.data?.pages ?? [])
    .flatMap((page) => page.items)
    .sort((a, b) => (a.created < b.created ? 1 : -1))
  return (
    <div className="page requests">
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        <Button size="sm" onClick={() => setAsking(true)}>
          {words.create}
        </Button>
      </div>
      <Text c="dimmed" size="sm" mb="sm">
        {words.hint}
      </Text>
      <NativeSelect
        aria-label={words.filter}
        value={chosen ?? ''}
        onChange={(event) => void navigate({ search: readState({ state: event.currentTarget.value }), replace: true })}
        data={[{ value: '', label: words.all }, ...states.map((value) => ({ value, label: words.states[value] }))]}
        maw={200}
      />
      <Problem error={requests.error} retry={() => requests.refetch()} />
      {requests.isPending ? <Loading rows={3} /> : null}
      {requests.data !== undefined && items.length === 0 ? <Empty title={words.none} hint={words.noneHint} /> : null}
      <ul className="request-list">
        {items.map((request) => (
          <RequestCard
            key={request.id}
            request={request}
            isOwn={request.user === name}
            used={state.user?.accessRequests ?? []}
            onDecide={(approve) => setDeciding({ request, approve })}
            onWithdraw={() => setLeaving(request)}
          />
        ))}
      </ul>
      {requests.hasNextPage ? (
        <Button variant="default" loading={requests.isFetchingNextPage} onClick={() => void requests.fetchNextPage()}>
          {words.more}
        </Button>
      ) : null}
      {isAsking ? <Ask user={name} onClose={() => setAsking(false)} /> : null}
      {deciding === undefined ? null : <Decide {...deciding} state={state} onClose={() => setDeciding(undefined)} />}
      {leaving === undefined ? null : (
        <Withdraw request={leaving} used={state.user?.accessRequests ?? []} onClose={() => setLeaving(undefined)} />
      )}
    </div>
  )
}

function RequestCard(props: {
  readonly request: AccessRequest
  readonly isOwn: boolean
  /** Ids of requests whose roles this browser has now. */
  readonly used: readonly string[]
  onDecide(approve: boolean): void
  onWithdraw(): void
}) {
  const { request, isOwn } = props
  const { id, user, roles, state, reason, resolveReason, created, expires, reviews } = request
  const isOver = Date.parse(state === 'pending' ? request.pendingUntil : expires) < Date.now()
  return (
    <li className="card request" aria-label={`${user}: ${roles.join(', ')}`}>
      <div className="request-head">
        <strong>{user}</strong>
        {isOwn ? <Text span c="dimmed" size="sm">{`(${words.mine})`}</Text> : null}
        {roles.map((role) => (
          <Badge key={role} variant="default" tt="none">
            {role}
          </Badge>
        ))}
        <span className={`request-state ${colours[state]}`}>{words.states[state]}</span>
      </div>
      {reason === '' ? null : <p className="said">{reason}</p>}
      <Text size="sm" c="dimmed">
        <When time={created} /> · {words.until} <When time={expires} />
        {reviews.length === 0 ? '' : ` · ${words.reviews(reviews.length)}`}
      </Text>
      {reviews.map((review) => (
        <p key={review.author} className="said small">
          {review.author}: {review.approve ? words.states.approved : words.states.denied}
          {review.reason === '' ? '' : `, ${review.reason}`}
        </p>
      ))}
      {resolveReason === '' || reviews.length > 0 ? null : <p className="said small">{resolveReason}</p>}
      {isOwn && state === 'approved' && !isOver ? (
        <>
          <Usage id={id} used={props.used} />
          <Group gap="xs" mt="xs">
            <Text size="sm">{words.inTerminal}</Text>
            <code className="mono">{words.usage(id)}</code>
            <CopyButton value={words.usage(id)} />
          </Group>
        </>
      ) : null}
      <Group gap="xs" mt="sm">
        {isOwn || state !== 'pending' || isOver ? null : (
          <>
            <Button size="xs" onClick={() => props.onDecide(true)}>
              {words.approve}
            </Button>
            <Button size="xs" variant="default" onClick={() => props.onDecide(false)}>
              {words.deny}
            </Button>
          </>
        )}
        {isOwn ? (
          <Button size="xs" variant="default" onClick={props.onWithdraw}>
            {words.withdraw}
          </Button>
        ) : null}
      </Group>
    </li>
  )
}

/** Has the roles in this browser, until the request ends or they are given back. What is open already goes on as it began. */
function Usage({ id, used }: { id: string; used: readonly string[] }) {
  const client = useQueryClient()
  const isUsed = used.includes(id)
  const change = useMutation({
    mutationFn: () => assumeRequests(isUsed ? used.filter((each) => each !== id) : [...used, id]),
    // Whatever was shown was for other roles.
    onSuccess: () => client.invalidateQueries(),
  })
  useLostSession(change.error)
  return (
    <>
      <Group gap="xs" mt="xs">
        {isUsed ? <span className="request-state green">{words.used}</span> : null}
        <Button
          size="xs"
          variant={isUsed ? 'default' : 'filled'}
          loading={change.isPending}
          onClick={() => change.mutate()}
        >
          {isUsed ? words.giveBack : words.use}
        </Button>
      </Group>
      <Problem error={change.error} />
    </>
  )
}

function useChange<T>(change: () => Promise<T>, onDone: () => void) {
  const client = useQueryClient()
  const mutation = useMutation({
    mutationFn: change,
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['requests'] })
      onDone()
    },
  })
  useLostSession(mutation.error)
  return mutation
}

function Ask({ user, onClose }: { user: string | undefined; onClose(): void }) {
  const offered = useQuery({
    queryKey: ['requests', user, 'roles'],
    queryFn: ({ signal }) => auth<typeof routes.listRequestableRoles>('GET /v1/requestable-roles', {}, { signal }),
  })
  useLostSession(offered.error)
  const [roles, setRoles] = useState<string[]>([])
  const [reason, setReason] = useState('')
  const [reviewers, setReviewers] = useState<string[]>([])
  const ask = useChange(
    () => auth<typeof routes.createAccessRequest>('POST /v1/access-requests', { body: { roles, reason, reviewers } }),
    onClose,
  )
  return (
    <Modal opened onClose={onClose} title={words.create} centered>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          ask.mutate()
        }}
      >
        <Stack gap="sm">
          <TagsInput
            label={words.roles}
            description={offered.data?.roles.length === 0 ? words.noRoles : words.rolesHint}
            data={offered.data?.roles ?? []}
            value={roles}
            onChange={setRoles}
            acceptValueOnBlur
            maxTags={64}
            data-autofocus
          />
          <Textarea
            label={words.reason}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            maxLength={4096}
            rows={3}
          />
          <TagsInput label={words.reviewers} value={reviewers} onChange={setReviewers} acceptValueOnBlur maxTags={64} />
          <Problem error={ask.error} />
          <Button type="submit" loading={ask.isPending} disabled={roles.length === 0}>
            {words.submit}
          </Button>
        </Stack>
      </form>
    </Modal>
  )
}

function Decide(props: { request: AccessRequest; approve: boolean; state: WebState; onClose(): void }) {
  const { request, approve, state, onClose } = props
  const { id, user, roles } = request
  const [reason, setReason] = useState('')
  const [alone, setAlone] = useState(false)
  const decide = useChange(
    () =>
      alone
        ? auth<typeof routes.resolveAccessRequest>('PUT /v1/access-requests/:id/state', {
            params: { id },
            body: { state: approve ? 'approved' : 'denied', reason },
          })
        : auth<typeof routes.reviewAccessRequest>('POST /v1/access-requests/:id/reviews', {
            params: { id },
            body: { approve, reason },
          }),
    onClose,
  )
  const what = roles.join(', ')
  return (
    <Modal opened onClose={onClose} title={approve ? words.approveOf(user, what) : words.denyOf(user, what)} centered>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          decide.mutate()
        }}
      >
        <Stack gap="sm">
          <Textarea
            label={words.yourReason}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            maxLength={4096}
            rows={3}
            data-autofocus
          />
          {may(state.user, 'PUT /v1/access-requests/:id/state') ? (
            <Checkbox
              label={words.decide}
              checked={alone}
              onChange={(event) => setAlone(event.currentTarget.checked)}
            />
          ) : null}
          <Problem error={decide.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {adminText.cancel}
            </Button>
            <Button type="submit" loading={decide.isPending} {...(approve ? {} : { color: 'red.9' })}>
              {approve ? words.approve : words.deny}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

function Withdraw(props: { request: AccessRequest; used: readonly string[]; onClose(): void }) {
  const { request, used, onClose } = props
  const { id, roles } = request
  const client = useQueryClient()
  const withdraw = useChange(async () => {
    await removed(auth<typeof routes.deleteAccessRequest>('DELETE /v1/access-requests/:id', { params: { id } }))
    if (!used.includes(id)) return
    await assumeRequests(used.filter((each) => each !== id))
    await client.invalidateQueries()
  }, onClose)
  return (
    <Confirm
      opened
      title={words.withdrawOf(roles.join(', '))}
      action={words.withdraw}
      busy={withdraw.isPending}
      error={withdraw.error}
      onConfirm={() => withdraw.mutate()}
      onClose={onClose}
    >
      <Text size="sm">{words.withdrawHint}</Text>
    </Confirm>
  )
}
