/** One open session: who is in it, and how to join. With a mode in the address it is joined at once. */

import './sessions.css'
import { Alert, Badge, Loader, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { ApiError, type WebState } from '../api.ts'
import { useLostSession } from '../session.tsx'
import { sessionsText as words } from '../text/sessions.ts'
import { text } from '../text.ts'
import { getSession, type Mode, type OpenSession } from './calls.ts'
import { Join, useJoin } from './join.tsx'
import { People } from './people.tsx'

/** Milliseconds. */
const askEvery = 3_000

export function SessionPage({ state, sid, mode }: { state: WebState; sid: string; mode: Mode | undefined }) {
  const user = state.user?.name ?? ''
  const query = useQuery({
    queryKey: ['session', user, sid],
    queryFn: ({ signal }) => getSession(sid, signal),
    refetchInterval: askEvery,
    enabled: user !== '',
    retry: false,
  })
  useLostSession(query.error)
  const session = query.data
  const who = session === undefined ? '' : words.who(session.user, session.login, session.serverHostname)
  useEffect(() => {
    document.title = `${who === '' ? words.title : who} · ${state.clusterName}`
  }, [who, state.clusterName])
  const join = useJoin()
  const hasJoined = useRef(false)
  useEffect(() => {
    if (session === undefined || mode === undefined || hasJoined.current) return
    hasJoined.current = true
    join(session, mode, true)
  }, [session, mode, join])
  const isGone = query.error instanceof ApiError && query.error.status === 404
  return (
    <div className="page session-page">
      <Link to="/web/sessions" className="back">
        ← {words.back}
      </Link>
      {query.isPending && query.error === null ? <Loader aria-label={text.loading} m="xl" /> : null}
      {query.error === null || isGone ? null : (
        <Alert color="red" variant="light" role="alert" mt="md" className="refusal" title={text.failed}>
          <Text size="sm">{query.error.message}</Text>
        </Alert>
      )}
      {isGone ? <Gone sid={sid} /> : session === undefined ? null : <Opened session={session} who={who} />}
    </div>
  )
}

function Opened({ session, who }: { session: OpenSession; who: string }) {
  return (
    <div className="session-head">
      <div>
        <Title order={1} size="h3">
          {who}
        </Title>
        <People session={session} />
      </div>
      {session.state === 'running' ? null : <Badge className="state">{words.states[session.state]}</Badge>}
      <Join session={session} />
    </div>
  )
}

const Gone = ({ sid }: { sid: string }) => (
  <div className="card nothing">
    <Title order={2} size="h4">
      {words.goneTitle}
    </Title>
    <Text c="dimmed">{words.gone}</Text>
    <Link to="/web/recordings/$sid" params={{ sid }} className="go">
      {words.recording}
    </Link>
  </div>
)
