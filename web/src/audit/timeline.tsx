/** Events as sentences, by day; each opens to all that is known of it. Only those near the window are drawn. */

import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { describeEvent } from '../../../src/audit/describe.ts'
import { stripControl } from '../../../src/common/text.ts'
import { ChevronIcon } from '../icons.tsx'
import { auditText } from '../text/audit.ts'

const words = auditText
const dayOf = new Intl.DateTimeFormat(undefined, { dateStyle: 'full' })
const timeOf = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })
/** In pixels, before a row is measured. */
const [rowHeight, dayHeight] = [42, 60]
/** So many rows before the last one, the next page is asked for. */
const lookAhead = 20

type Event = Readonly<Record<string, unknown>> & {
  readonly event: string
  readonly code: string
  readonly uid: string
  readonly time: string
}

interface Actions {
  onUser(name: string): void
  onSession(sid: string): void
}

export function Timeline(
  props: { events: readonly Event[]; isWhole: boolean; more: ReactNode; onEnd(): void } & Actions,
) {
  const { events, isWhole, more, onEnd, onUser, onSession } = props
  const list = useRef<HTMLOListElement>(null)
  // Kept here: a row that was scrolled away and comes back is as it was.
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set())
  const days = useMemo(() => events.map((event) => dayOf.format(new Date(event.time))), [events])
  const begins = (index: number): boolean => days[index] !== days[index - 1]
  const rows = useWindowVirtualizer({
    count: events.length,
    estimateSize: (index) => (begins(index) ? rowHeight + dayHeight : rowHeight),
    overscan: 10,
    scrollMargin: list.current?.offsetTop ?? 0,
    getItemKey: useCallback((index: number) => events[index]?.uid ?? index, [events]),
  })
  const drawn = rows.getVirtualItems()
  const last = drawn.at(-1)?.index ?? 0
  useEffect(() => {
    if (last >= events.length - lookAhead) onEnd()
  }, [last, events.length, onEnd])
  return (
    <section aria-label={words.timeline} className="timeline">
      <ol className="events" ref={list} style={{ height: rows.getTotalSize() }}>
        {drawn.map((row) => {
          const event = events[row.index]
          if (event === undefined) return null
          return (
            <li
              key={row.key}
              ref={rows.measureElement}
              data-index={row.index}
              className={begins(row.index + 1) ? 'last' : undefined}
              aria-posinset={row.index + 1}
              aria-setsize={isWhole ? events.length : -1}
              style={{ transform: `translateY(${row.start - rows.options.scrollMargin}px)` }}
            >
              {begins(row.index) ? <h2 className="day">{days[row.index]}</h2> : null}
              <Row
                event={event}
                open={opened.has(event.uid)}
                onOpen={(open) =>
                  setOpened((before) =>
                    open ? new Set([...before, event.uid]) : before.difference(new Set([event.uid])),
                  )
                }
                onUser={onUser}
                onSession={onSession}
              />
            </li>
          )
        })}
      </ol>
      <div className="more-events">{more}</div>
    </section>
  )
}

function Row(props: { event: Event; open: boolean; onOpen(open: boolean): void } & Actions) {
  const { event, open, onOpen, onUser, onSession } = props
  const sentence = stripControl(describeEvent(event))
  const user = typeof event.user === 'string' ? event.user : ''
  const sid = typeof event.sid === 'string' ? event.sid : ''
  const isFailure = event.code.endsWith('W') || event.code.endsWith('E') || event.success === false
  return (
    <div className={isFailure ? 'event failure' : 'event'}>
      <time dateTime={event.time} title={event.time}>
        {timeOf.format(new Date(event.time))}
      </time>
      <div className="event-what">
        <span className="event-who">
          {user === '' ? (
            words.system
          ) : (
            <button type="button" className="plain" title={words.onlyUser(user)} onClick={() => onUser(user)}>
              {stripControl(user)}
            </button>
          )}
        </span>{' '}
        <span className="event-sentence">{sentence}</span>
      </div>
      <code className="event-type">{event.event}</code>
      <button
        type="button"
        className="plain open"
        aria-expanded={open}
        aria-label={open ? words.rawHide(sentence) : words.raw(sentence)}
        onClick={() => onOpen(!open)}
      >
        <ChevronIcon />
      </button>
      {open ? (
        <div className="event-raw">
          {sid === '' ? null : (
            <button type="button" className="plain link" onClick={() => onSession(sid)}>
              {words.onlySession}
            </button>
          )}
          <pre>{visible(JSON.stringify(event, undefined, 2))}</pre>
        </div>
      ) : null}
    </div>
  )
}

/** Nothing hides or turns round what stands beside it: such characters are shown as their numbers. */
const visible = (json: string): string =>
  json
    .toWellFormed()
    .replace(
      /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
