/** One's browser sessions, here and elsewhere, each of which one can end; and the end of all. */

import { Alert, Badge, Button, Group, Paper, Skeleton, Text, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { CallOutput } from '../../../src/api/web-calls.ts'
import { auth, logOut, may, removed, type routes, type WebUser } from '../api.ts'
import { useLostSession } from '../session.tsx'
import { words } from '../text/account.ts'
import { text } from '../text.ts'
import { browserName } from './browser-name.ts'

type Session = CallOutput<typeof routes.listWebSessions>['items'][number]

const time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const timeOf = (text: string): string => time.format(new Date(text))

export function Elsewhere({ user }: { user: WebUser }) {
  const client = useQueryClient()
  const everywhere = useMutation({ mutationFn: () => logOut(true), onSettled: () => client.invalidateQueries() })
  return (
    <Paper className="card" p="lg" mt="md" withBorder>
      <Title order={2} size="h4">
        {words.browsers}
      </Title>
      <Text c="dimmed" size="sm">
        {words.browsersHint}
      </Text>
      {may(user, 'GET /v1/web/sessions') ? <List user={user.name} /> : null}
      <Group gap="sm" mt="md">
        <Button color="red.9" size="sm" loading={everywhere.isPending} onClick={() => everywhere.mutate()}>
          {words.everywhere}
        </Button>
        <Text c="dimmed" size="sm" flex="1 1 14rem">
          {words.everywhereHint}
        </Text>
      </Group>
    </Paper>
  )
}

function List({ user }: { user: string }) {
  const client = useQueryClient()
  const queryKey = ['browsers', user]
  const query = useQuery({
    queryKey,
    queryFn: ({ signal }) => auth<typeof routes.listWebSessions>('GET /v1/web/sessions', {}, { signal }),
  })
  const end = useMutation({
    mutationFn: (id: string) =>
      removed(auth<typeof routes.deleteWebSession>('DELETE /v1/web/sessions/:id', { params: { id } })),
    // One that ended by itself meanwhile leaves the list too.
    onSettled: () => client.invalidateQueries({ queryKey }),
  })
  const error = query.error ?? end.error
  useLostSession(error)
  return (
    <>
      {error === null ? null : (
        <Alert color="red" variant="light" role="alert" mt="md" className="refusal" title={text.failed}>
          {error.message}
        </Alert>
      )}
      {query.isPending ? <Skeleton height={48} mt="md" /> : null}
      <ul className="devices">
        {query.data?.items.map((session) => (
          <li key={session.id}>
            <div>
              <Text fw={600} title={session.userAgent}>
                {nameOf(session)}
              </Text>
              <Text c="dimmed" size="sm">
                {words.seen(timeOf(session.lastSeen), session.address)}
              </Text>
              <Text c="dimmed" size="sm">
                {words.began(timeOf(session.created))}
              </Text>
            </div>
            {session.current ? (
              <Badge variant="default" tt="none">
                {words.thisOne}
              </Badge>
            ) : (
              <Button
                size="xs"
                variant="default"
                aria-label={words.endNamed(nameOf(session), session.address)}
                loading={end.isPending && end.variables === session.id}
                onClick={() => end.mutate(session.id)}
              >
                {words.end}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </>
  )
}

function nameOf({ userAgent }: Session): string {
  const { browser, system } = browserName(userAgent)
  return words.browserOn(browser ?? words.unknownBrowser, system)
}
