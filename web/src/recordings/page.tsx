/** What was recorded: searched at auth, with the filters in the address, and a picture of each. */

import '@xterm/xterm/css/xterm.css'
import './recordings.css'
import { Alert, Badge, Button, Skeleton, Text, TextInput, Title } from '@mantine/core'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { type FormEvent, useEffect, useRef, useState } from 'react'
import { clockTime } from '../../../src/audit/recording/play/clock-time.ts'
import type { WebState } from '../api.ts'
import { SearchIcon } from '../icons.tsx'
import { useLostSession } from '../session.tsx'
import { recordingsText as words } from '../text/recordings.ts'
import { text } from '../text.ts'
import { type Filters, type Listed, listRecordings } from './calls.ts'
import { whenText } from './dates.ts'
import { FilmIcon } from './icons.tsx'
import { Thumbnail } from './thumbnail.tsx'

export function RecordingsPage({ state, filters }: { state: WebState; filters: Filters }) {
  const user = state.user?.name ?? ''
  const query = useInfiniteQuery({
    queryKey: ['recordings', user, filters],
    queryFn: ({ pageParam, signal }) => listRecordings(filters, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    enabled: user !== '',
    // Each search is in the audit log: it is asked when somebody asks, not when a window comes to the front.
    refetchOnWindowFocus: filters.search === undefined,
    staleTime: 5_000,
  })
  useLostSession(query.error)
  useEffect(() => {
    document.title = `${words.title} · ${state.clusterName}`
  }, [state.clusterName])
  const found = query.data?.pages.flatMap((page) => page.items) ?? []
  const isFiltered = Object.keys(filters).length > 0
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query
  return (
    <div className="page">
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
      </div>
      <FilterForm key={JSON.stringify(filters)} filters={filters} />
      {query.error === null ? null : (
        <Alert color="red" variant="light" role="alert" mt="md" className="refusal" title={text.failed}>
          <Text size="sm">{query.error.message}</Text>
          <Button size="xs" mt="xs" variant="default" onClick={() => void query.refetch()}>
            {text.retry}
          </Button>
        </Alert>
      )}
      {query.isPending && query.error === null ? <Placeholder /> : null}
      {query.isSuccess && found.length === 0 && !hasNextPage ? <Nothing isFiltered={isFiltered} /> : null}
      {found.length === 0 ? null : (
        <Rows
          recordings={found}
          onEnd={() => {
            if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
          }}
        />
      )}
      {hasNextPage ? (
        <Button variant="default" mt="md" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {isFetchingNextPage ? words.loadingMore : words.more}
        </Button>
      ) : null}
    </div>
  )
}

/** Asked for with Enter and not with each letter: a search is a line in the audit log. */
function FilterForm({ filters }: { filters: Filters }) {
  const navigate = useNavigate()
  const [draft, setDraft] = useState<Filters>(filters)
  const apply = (next: Filters) => {
    const search = Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined && value !== ''))
    void navigate({ to: '/web/recordings', search })
  }
  const field = (name: keyof Filters, label: string, type: 'text' | 'date') => (
    <TextInput
      label={label}
      type={type}
      size="sm"
      value={draft[name] ?? ''}
      maxLength={256}
      spellCheck={false}
      onChange={(event) => {
        const next = { ...draft, [name]: event.currentTarget.value }
        setDraft(next)
        if (type === 'date') apply(next)
      }}
      onBlur={() => {
        if (type === 'text' && (draft[name] ?? '') !== (filters[name] ?? '')) apply(draft)
      }}
    />
  )
  return (
    <search>
      <form
        className="recording-filters"
        aria-label={words.filters}
        onSubmit={(event: FormEvent) => {
          event.preventDefault()
          apply(draft)
        }}
      >
        <TextInput
          className="wide"
          type="search"
          label={words.search}
          description={words.searchHint}
          leftSection={<SearchIcon />}
          value={draft.search ?? ''}
          maxLength={256}
          spellCheck={false}
          onChange={(event) => setDraft({ ...draft, search: event.currentTarget.value })}
        />
        {field('user', words.user, 'text')}
        {field('node', words.node, 'text')}
        {field('from', words.from, 'date')}
        {field('to', words.to, 'date')}
        <div className="buttons">
          <Button type="submit" size="sm">
            {words.searchNow}
          </Button>
          {Object.keys(filters).length === 0 ? null : (
            <Button size="sm" variant="default" onClick={() => apply({})}>
              {words.clear}
            </Button>
          )}
        </div>
      </form>
    </search>
  )
}

function Rows({ recordings, onEnd }: { recordings: readonly Listed[]; onEnd(): void }) {
  const list = useRef<HTMLUListElement>(null)
  const rows = useWindowVirtualizer({
    count: recordings.length,
    estimateSize: () => 140,
    overscan: 4,
    scrollMargin: list.current?.offsetTop ?? 0,
    getItemKey: (index) => recordings[index]?.sid ?? index,
  })
  const drawn = rows.getVirtualItems()
  const last = drawn.at(-1)?.index ?? 0
  useEffect(() => {
    if (last >= recordings.length - 5) onEnd()
  }, [last, recordings.length, onEnd])
  return (
    <ul className="card recordings" aria-label={words.title} ref={list} style={{ height: rows.getTotalSize() }}>
      {drawn.map((row) => {
        const recording = recordings[row.index]
        return recording === undefined ? null : (
          <li
            key={row.key}
            data-index={row.index}
            ref={rows.measureElement}
            style={{ transform: `translateY(${row.start - rows.options.scrollMargin}px)` }}
          >
            <Row recording={recording} />
          </li>
        )
      })}
    </ul>
  )
}

function Row({ recording }: { recording: Listed }) {
  const { sid, user, login, serverHostname, started, durationMs, command, participants, matches = [] } = recording
  const others = participants.filter((name) => name !== user)
  return (
    <div className="recording">
      <Link to="/web/recordings/$sid" params={{ sid }} tabIndex={-1} aria-hidden="true">
        <Thumbnail recording={recording} />
      </Link>
      <div className="recording-facts">
        <Link to="/web/recordings/$sid" params={{ sid }} className="recording-name">
          {words.who(user, login, serverHostname)}
        </Link>
        <Text size="sm" c="dimmed">
          <time dateTime={started}>{whenText(started)}</time> · {clockTime(durationMs)}
          {others.length === 0 ? '' : ` · ${words.with(others.join(', '))}`}
        </Text>
        <Text size="sm" className="recording-command">
          {command ?? words.shell}
        </Text>
        <States recording={recording} />
        {matches.length === 0 ? null : (
          <ul className="hits" aria-label={words.hits}>
            {matches.map((match) => (
              <li key={`${match.atMs} ${match.text}`}>
                <Link to="/web/recordings/$sid" params={{ sid }} search={{ at: Math.floor(match.atMs / 1000) }}>
                  <span className="visually-hidden">{words.playFrom}</span>
                  <span className="hit-time">{clockTime(match.atMs)}</span>
                  <span className="hit-text">{match.text}</span>
                </Link>
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  )
}

export function States({ recording: { state, failure } }: { recording: Pick<Listed, 'state' | 'failure'> }) {
  if (state === 'complete' && failure === undefined) return null
  return (
    <div className="states">
      {state === 'running' ? <Badge className="state running">{words.running}</Badge> : null}
      {state === 'interrupted' ? (
        <Badge className="state" title={words.interruptedHint}>
          {words.interrupted}
        </Badge>
      ) : null}
      {failure === undefined ? null : (
        <Badge className="state" title={failure}>
          {words.gaps}
        </Badge>
      )}
    </div>
  )
}

const Placeholder = () => (
  <div className="card recordings" aria-busy="true">
    {[1, 2, 3].map((row) => (
      <Skeleton key={row} height={90} my={20} mx={16} width="auto" />
    ))}
    <span className="visually-hidden">{text.loading}</span>
  </div>
)

const Nothing = ({ isFiltered }: { isFiltered: boolean }) => (
  <div className="card nothing">
    <FilmIcon />
    <Title order={2} size="h4">
      {isFiltered ? words.noMatchTitle : words.noneTitle}
    </Title>
    <Text c="dimmed">{isFiltered ? words.noMatch : words.none}</Text>
  </div>
)
