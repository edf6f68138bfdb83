/** Sessions that are open now: one's own and those that one may join. */

import './sessions.css'
import { Alert, Badge, Button, Skeleton, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect } from 'react'
import type { WebState } from '../api.ts'
import { useLostSession } from '../session.tsx'
import { sessionsText as words } from '../text/sessions.ts'
import { text } from '../text.ts'
import { listSessions, type OpenSession } from './calls.ts'
import { PeopleIcon } from './icons.tsx'
import { Join } from './join.tsx'
import { People } from './people.tsx'
import { durationText } from './since.ts'

/** Milliseconds. */
const askEvery = 3_000

export function SessionsPage({ state }: { state: WebState }) {
  const user = state.user?.name ?? ''
  const query = useQuery({
    queryKey: ['sessions', user],
    queryFn: ({ signal }) => listSessions(signal),
    refetchInterval: askEvery,
    enabled: user !== '',
  })
  useLostSession(query.error)
  useEffect(() => {
    document.title = `${words.title} · ${state.clusterName}`
  }, [state.clusterName])
  const sessions = query.data
  return (
    <div className="page">
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        <Text c="dimmed" size="sm" aria-live="polite">
          {sessions === undefined ? ' ' : words.count(sessions.length)}
        </Text>
      </div>
      {query.error === null ? null : (
        <Alert color="red" variant="light" role="alert" mt="md" className="refusal" title={text.failed}>
          <Text size="sm">{query.error.message}</Text>
          <Button size="xs" mt="xs" variant="default" onClick={() => void query.refetch()}>
            {text.retry}
          </Button>
        </Alert>
      )}
      {query.isPending && query.error === null ? <Placeholder /> : null}
      {sessions?.length === 0 ? <Nothing /> : null}
      {sessions === undefined || sessions.length === 0 ? null : (
        <ul className="card sessions" aria-label={words.title}>
          {sessions.map((session) => (
            <li key={session.sid}>
              <Row session={session} now={query.dataUpdatedAt} />
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

function Row({ session, now }: { session: OpenSession; now: number }) {
  const { sid, user, login, serverHostname, started, command } = session
  return (
    <div className="session">
      <div className="session-facts">
        <Link to="/web/sessions/$sid" params={{ sid }} className="session-name">
          {words.who(user, login, serverHostname)}
        </Link>
        <Text size="sm" c="dimmed">
          <time dateTime={started} title={new Date(started).toLocaleString()}>
            {words.since(durationText(now - Date.parse(started)))}
          </time>
          {' · '}
          <span className="session-command">{command ?? words.shell}</span>
        </Text>
        <People session={session} />
      </div>
      {session.state === 'running' ? null : <Badge className="state">{words.states[session.state]}</Badge>}
      <Join session={session} />
    </div>
  )
}

const Placeholder = () => (
  <div className="card sessions" aria-busy="true">
    {[1, 2, 3].map((row) => (
      <Skeleton key={row} height={24} my={22} mx={16} width="auto" />
    ))}
    <span className="visually-hidden">{text.loading}</span>
  </div>
)

const Nothing = () => (
  <div className="card nothing">
    <PeopleIcon size={40} />
    <Title order={2} size="h4">
      {words.noneTitle}
    </Title>
    <Text c="dimmed">{words.none}</Text>
  </div>
)
