/** What happened, newest first, for whoever may read it; what is chosen stands in the address. */

import { Button, NativeSelect, TextInput, Title } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { auth, may, type routes, type WebState } from '../api.ts'
import { SearchIcon } from '../icons.tsx'
import { Empty, Loading, Problem, usePageTitle } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { auditText } from '../text/audit.ts'
import { Chain } from './chain.tsx'
import { Charts } from './chart.tsx'
import { Export } from './export.tsx'
import { type AuditFilters, localTime, queryOf, ranges, readFilters } from './filters.ts'
import { Timeline } from './timeline.tsx'
import './audit.css'

const words = auditText
const pageSize = 100
const month = 30 * 24 * 3_600_000

export function AuditPage({ state }: { state: WebState }) {
  const filters: AuditFilters = useSearch({ from: '/web/audit' })
  const navigate = useNavigate({ from: '/web/audit' })
  const [round, setRound] = useState(0)
  const key = JSON.stringify(filters)
  // Of the moment in which it was asked, so that the pages of one search belong together.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a refresh is a new moment
  const [query, now] = useMemo(() => {
    const asked = Date.now()
    return [queryOf(JSON.parse(key) as AuditFilters, asked), asked]
  }, [key, round])
  usePageTitle(words.title, state.clusterName)
  const events = useInfiniteQuery({
    queryKey: ['audit', 'events', state.user?.name, query],
    queryFn: ({ pageParam, signal }) =>
      auth<typeof routes.searchEvents>(
        'GET /v1/audit/events',
        { query: { ...query, limit: pageSize, ...(pageParam === undefined ? {} : { after: pageParam }) } },
        { signal },
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    refetchOnWindowFocus: false,
    enabled: may(state.user, 'GET /v1/audit/events'),
  })
  useLostSession(events.error)
  const choose = (change: Partial<Record<keyof AuditFilters, string | undefined>>) =>
    void navigate({ search: readFilters({ ...filters, ...change }), replace: true })
  const { data, hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = events
  const items = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data])
  // What failed is asked for again by the button, not by each turn of the wheel.
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage && !isFetchNextPageError) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage])
  const from = 'from' in query && query.from !== undefined ? Date.parse(query.from) : now - month
  const to = 'to' in query && query.to !== undefined ? Date.parse(query.to) : now
  return (
    <div className="page audit">
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        <div className="head-actions">
          <Export query={() => queryOf(filters, Date.now())} />
          <Button size="xs" variant="default" onClick={() => setRound((before) => before + 1)}>
            {words.refresh}
          </Button>
        </div>
      </div>
      <Filters filters={filters} onChoose={choose} onClear={() => void navigate({ search: {} })} />
      <Charts from={from} to={Math.max(to, from + 1)} user={filters.user} />
      <Chain state={state} />
      <Problem error={events.error} retry={() => events.refetch()} />
      {events.isPending && events.error === null ? <Loading /> : null}
      {data !== undefined && items.length === 0 ? <Empty title={words.none} hint={words.noneHint} /> : null}
      {items.length === 0 ? null : (
        <Timeline
          events={items}
          isWhole={!hasNextPage}
          onEnd={onEnd}
          onUser={(user) => choose({ user })}
          onSession={(session) => choose({ session })}
          more={
            hasNextPage ? (
              <Button variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
                {words.older}
              </Button>
            ) : (
              words.begin
            )
          }
        />
      )}
    </div>
  )
}

function Filters(props: {
  readonly filters: AuditFilters
  onChoose(change: Partial<Record<keyof AuditFilters, string | undefined>>): void
  onClear(): void
}) {
  const { filters, onChoose, onClear } = props
  return (
    <fieldset className="filter-bar">
      <legend className="visually-hidden">{words.filters}</legend>
      <Word
        name="text"
        label={words.searchLabel}
        placeholder={words.search}
        filters={filters}
        onChoose={onChoose}
        icon
      />
      <NativeSelect
        aria-label={words.range}
        value={filters.range ?? '24h'}
        onChange={(event) => onChoose({ range: event.currentTarget.value, from: undefined, to: undefined })}
        data={ranges.map((value) => ({ value, label: words.ranges[value] }))}
      />
      <NativeSelect
        aria-label={words.type}
        value={filters.type ?? ''}
        onChange={(event) => onChoose({ type: event.currentTarget.value })}
        data={[
          { value: '', label: words.allTypes },
          ...Object.entries(words.groups).map(([value, label]) => ({ value, label })),
          // One that the address names, and no group is.
          ...(filters.type === undefined || filters.type in words.groups
            ? []
            : [{ value: filters.type, label: filters.type }]),
        ]}
      />
      <Word name="user" label={words.user} placeholder={words.user} filters={filters} onChoose={onChoose} />
      <Word name="session" label={words.session} placeholder={words.session} filters={filters} onChoose={onChoose} />
      <Button variant="default" onClick={onClear} disabled={Object.keys(filters).length === 0}>
        {words.clear}
      </Button>
      {filters.range === 'custom' ? (
        <div className="filter-times">
          {(['from', 'to'] as const).map((name) => (
            <TextInput
              key={name}
              type="datetime-local"
              label={words[name]}
              value={localTime(filters[name])}
              onChange={(event) => onChoose({ [name]: event.currentTarget.value })}
            />
          ))}
        </div>
      ) : null}
    </fieldset>
  )
}

/** Goes into the address when the typing pauses. */
function Word(props: {
  readonly name: 'text' | 'user' | 'session'
  readonly label: string
  readonly placeholder: string
  readonly filters: AuditFilters
  readonly icon?: boolean
  onChoose(change: Partial<Record<keyof AuditFilters, string | undefined>>): void
}) {
  const { name, label, placeholder, filters, onChoose } = props
  const chosen = filters[name] ?? ''
  const [value, setValue] = useState(chosen)
  useEffect(() => setValue(chosen), [chosen])
  const settle = useDebouncedCallback((text: string) => onChoose({ [name]: text }), 300)
  return (
    <TextInput
      type="search"
      aria-label={label}
      placeholder={placeholder}
      leftSection={props.icon === true ? <SearchIcon /> : undefined}
      value={value}
      maxLength={256}
      spellCheck={false}
      autoCapitalize="none"
      onChange={(event) => {
        setValue(event.currentTarget.value)
        settle(event.currentTarget.value)
      }}
    />
  )
}
