/** The servers that one may reach: searched at the proxy, fetched in pages, and only those on the screen drawn. */

import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { memo, type Ref, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react'
import { listNodes, type WebNode, type WebState } from '../api.ts'
import { NodesComing } from '../beginning.tsx'
import { ChevronIcon, CloseIcon, SearchIcon, ServerIcon, TerminalIcon } from '../icons.tsx'
import { useLater } from '../later.ts'
import { useLostSession } from '../session.tsx'
import { openTerminal } from '../terminal/tabs.ts'
import { text } from '../text.ts'
import { Trouble } from '../trouble.tsx'

const words = text.nodes

export function NodesPage({ state }: { state: WebState }) {
  const [search, setSearch] = useState('')
  const [labels, setLabels] = useState<readonly string[]>([])
  const [settled] = useDebouncedValue(search, 150)
  const input = useRef<HTMLInputElement>(null)
  const user = state.user?.name ?? ''
  const query = useInfiniteQuery({
    queryKey: ['nodes', user, settled, labels],
    queryFn: ({ pageParam, signal }) => listNodes({ search: settled, labels }, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    enabled: user !== '',
    // Of thousands that somebody scrolled through, all pages are asked for again.
    refetchInterval: ({ state: { data } }) => ((data?.pages.length ?? 0) <= 3 ? 10_000 : 60_000),
  })
  useLostSession(query.error)
  useEffect(() => {
    document.title = `${words.title} · ${state.clusterName}`
    const focus = (event: KeyboardEvent) => {
      if (event.key !== '/' || (event.target instanceof HTMLElement && event.target.matches('input, textarea'))) return
      event.preventDefault()
      input.current?.focus()
    }
    window.addEventListener('keydown', focus)
    return () => window.removeEventListener('keydown', focus)
  }, [state.clusterName])

  // Drawn in pieces, between which the browser answers.
  const pages = useDeferredValue(query.data?.pages)
  const nodes = useMemo(() => pages?.flatMap((page) => page.items) ?? [], [pages])
  const first = pages?.[0]
  const toggle = useCallback(
    (label: string) =>
      setLabels((before) => (before.includes(label) ? before.filter((one) => one !== label) : [...before, label])),
    [],
  )
  return (
    <div className="page">
      <div className="page-head">
        <h1 className="h2">{words.title}</h1>
        <p className="dim small" aria-live="polite">
          {first === undefined ? ' ' : words.count(first.matching, first.total)}
        </p>
      </div>
      <div className="field">
        <span>
          <SearchIcon />
        </span>
        <input
          ref={input}
          type="search"
          aria-label={words.search}
          placeholder={words.search}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
          spellCheck={false}
        />
        <span>
          {search === '' ? (
            <kbd>/</kbd>
          ) : (
            <button type="button" className="bare grey icon" aria-label={words.clear} onClick={() => setSearch('')}>
              <CloseIcon />
            </button>
          )}
        </span>
      </div>
      {labels.length === 0 ? null : (
        <ul className="chips filters" aria-label={words.filters}>
          {labels.map((label) => (
            <li key={label}>
              <button
                type="button"
                className="chip chosen"
                aria-label={words.removeFilter(label)}
                onClick={() => toggle(label)}
              >
                {label} <CloseIcon size={11} />
              </button>
            </li>
          ))}
        </ul>
      )}
      {query.error === null ? null : <Trouble error={query.error} retry={query.refetch} />}
      {pages === undefined && query.error === null ? <NodesComing /> : null}
      {first !== undefined && nodes.length === 0 ? <Nothing isFiltered={first.total > 0} /> : null}
      {nodes.length === 0 ? null : (
        <NodeRows
          nodes={nodes}
          count={first?.matching ?? nodes.length}
          chosen={labels}
          onLabel={toggle}
          onEnd={() => {
            if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage()
          }}
          state={state}
        />
      )}
    </div>
  )
}

function NodeRows(props: {
  nodes: readonly WebNode[]
  count: number
  chosen: readonly string[]
  state: WebState
  onLabel(label: string): void
  onEnd(): void
}) {
  const { nodes, count, chosen, onLabel, onEnd, state } = props
  const list = useRef<HTMLDivElement>(null)
  const rows = useWindowVirtualizer({
    count: nodes.length,
    estimateSize: () => 52,
    overscan: 6,
    // Known before anything is measured, so that the rows are drawn once.
    initialRect: { width: window.innerWidth, height: window.innerHeight },
    scrollMargin: list.current?.offsetTop ?? 0,
    getItemKey: useCallback((index: number) => nodes[index]?.uuid ?? index, [nodes]),
  })
  const drawn = rows.getVirtualItems()
  const last = drawn.at(-1)?.index ?? 0
  useEffect(() => {
    if (last >= nodes.length - 20) onEnd()
  }, [last, nodes.length, onEnd])
  return (
    <div className="card nodes" role="table" aria-label={words.title} aria-rowcount={count + 1}>
      <div role="rowgroup">
        <div role="row" className="node head" aria-rowindex={1}>
          {[words.name, words.address, words.labels, words.actions].map((name) => (
            <div key={name} role="columnheader">
              {name}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" ref={list} className="node-list" style={{ height: rows.getTotalSize() }}>
        {drawn.map((row) => {
          const node = nodes[row.index]
          if (node === undefined) return null
          return (
            <NodeRow
              key={row.key}
              node={node}
              index={row.index}
              y={row.start - rows.options.scrollMargin}
              measure={rows.measureElement}
              chosen={chosen}
              onLabel={onLabel}
              state={state}
            />
          )
        })}
      </div>
    </div>
  )
}

/** Drawn once, however often the list is while it scrolls by. */
const NodeRow = memo(function NodeRow(props: {
  node: WebNode
  index: number
  y: number
  measure: Ref<HTMLDivElement>
  chosen: readonly string[]
  state: WebState
  onLabel(label: string): void
}) {
  const { node, index, y, measure, chosen, onLabel, state } = props
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      data-index={index}
      ref={measure}
      className="node"
      style={{ transform: `translateY(${y}px)` }}
    >
      <div role="cell" className="node-name">
        <span className={node.quiet ? 'pulse quiet' : 'pulse'} title={node.quiet ? words.quiet : words.heard}>
          <span className="visually-hidden">{node.quiet ? words.quiet : words.heard}</span>
        </span>
        <span>{node.hostname}</span>
      </div>
      <div role="cell" className="node-address">
        {node.address}
      </div>
      <div role="cell">
        <ul className="chips">
          {Object.entries(node.labels).map(([name, value]) => {
            const label = `${name}=${value}`
            return (
              <li key={name}>
                <button
                  type="button"
                  className={chosen.includes(label) ? 'chip chosen' : 'chip'}
                  aria-label={chosen.includes(label) ? words.removeFilter(label) : words.addFilter(label)}
                  onClick={() => onLabel(label)}
                >
                  {label}
                </button>
              </li>
            )
          })}
        </ul>
      </div>
      <div role="cell" className="node-actions">
        <Connect node={node} state={state} />
      </div>
    </div>
  )
})

const loadMenu = async () => (await import('./connect-menu.tsx')).ConnectMenu

function Connect({ node, state }: { node: WebNode; state: WebState }) {
  const navigate = useNavigate()
  // Thousands of servers scroll by, and of few of them somebody wants to see the choices.
  const { part: ConnectMenu, want, expect } = useLater(loadMenu)
  const open = (login: string) => {
    openTerminal({ node: node.uuid, hostname: node.hostname, login })
    void navigate({ to: '/web/terminal' })
  }
  const [first = ''] = node.logins
  const isOne = node.logins.length === 1
  const chooser = (
    <button
      type="button"
      className={isOne ? 'button split' : 'button'}
      aria-label={words.chooseLogin(node.hostname)}
      aria-haspopup="menu"
      {...(ConnectMenu === undefined ? { onClick: want, onPointerEnter: expect } : {})}
    >
      {isOne ? null : (
        <>
          <TerminalIcon />
          <span>{words.connect}</span>
        </>
      )}
      <ChevronIcon />
    </button>
  )
  return (
    <div className="joined-buttons">
      {isOne ? (
        <button
          type="button"
          className="button"
          aria-label={words.connectAs(node.hostname, first)}
          onClick={() => open(first)}
        >
          <TerminalIcon />
          <span>{words.connect}</span>
        </button>
      ) : null}
      {ConnectMenu === undefined ? chooser : <ConnectMenu button={chooser} node={node} state={state} onOpen={open} />}
    </div>
  )
}

const Nothing = ({ isFiltered }: { isFiltered: boolean }) => (
  <div className="card nothing">
    <ServerIcon />
    <h2 className="h4">{isFiltered ? words.noMatchTitle : words.noneTitle}</h2>
    <p className="dim">{isFiltered ? words.noMatch : words.none}</p>
  </div>
)
