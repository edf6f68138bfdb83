/** One open session: who is in it, and the terminal of one who joined. */

import '@xterm/xterm/css/xterm.css'
import './sessions.css'
import { Alert, Badge, Button, Loader, Modal, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect, useState } from 'react'
import { ApiError, type WebState } from '../api.ts'
import { useLostSession } from '../session.tsx'
import { sessionsText as words } from '../text/sessions.ts'
import { text } from '../text.ts'
import { getSession, type Mode, type OpenSession } from './calls.ts'
import { JoinedTerminal, type Moderate } from './joined-terminal.tsx'
import { Join, People } from './page.tsx'

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
      {session === undefined ? (
        isGone ? (
          <Gone sid={sid} />
        ) : null
      ) : (
        <Opened session={session} isGone={isGone} who={who} mode={mode} />
      )}
    </div>
  )
}

function Opened(props: { session: OpenSession; isGone: boolean; who: string; mode: Mode | undefined }) {
  const { session, isGone, who, mode } = props
  const navigate = useNavigate()
  const [moderate, setModerate] = useState<Moderate>()
  const [isEnding, setEnding] = useState(false)
  const onModerate = useCallback((next: Moderate | undefined) => setModerate(() => next), [])
  const { sid } = session
  const joined = mode !== undefined
  return (
    <>
      <div className="session-head">
        <div>
          <Title order={1} size="h3">
            {who}
          </Title>
          <People session={session} />
        </div>
        {session.state === 'running' ? null : <Badge className="state">{words.states[session.state]}</Badge>}
        <div className="session-actions">
          {joined && moderate !== undefined ? (
            <>
              {session.state === 'paused' ? (
                <Button size="xs" variant="default" onClick={() => moderate('resume')}>
                  {words.resume}
                </Button>
              ) : (
                <Button size="xs" variant="default" onClick={() => moderate('pause')}>
                  {words.pause}
                </Button>
              )}
              <Button size="xs" color="red.9" onClick={() => setEnding(true)}>
                {words.end}
              </Button>
            </>
          ) : null}
          {joined ? (
            <Button
              size="xs"
              variant="default"
              onClick={() => void navigate({ to: '/web/sessions/$sid', params: { sid }, search: {} })}
            >
              {words.leave}
            </Button>
          ) : isGone ? null : (
            <Join session={session} />
          )}
        </div>
      </div>
      {mode === undefined ? (
        isGone ? (
          <Gone sid={sid} />
        ) : null
      ) : (
        <JoinedTerminal
          key={`${sid} ${mode}`}
          session={session}
          mode={mode}
          label={words.terminal(who)}
          onModerate={onModerate}
        />
      )}
      <Modal opened={isEnding} onClose={() => setEnding(false)} title={words.endTitle} centered>
        <Text size="sm" mb="md">
          {words.endHint(session.user)}
        </Text>
        <div className="session-actions">
          <Button variant="default" onClick={() => setEnding(false)}>
            {words.keep}
          </Button>
          <Button
            color="red.9"
            onClick={() => {
              setEnding(false)
              moderate?.('end')
            }}
          >
            {words.end}
          </Button>
        </div>
      </Modal>
    </>
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
