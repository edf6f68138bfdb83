/** Events as sentences, by day; each opens to all that is known of it. */

import { type ReactNode, useState } from 'react'
import { describeEvent } from '../../../src/audit/describe.ts'
import { stripControl } from '../../../src/common/text.ts'
import { ChevronIcon } from '../icons.tsx'
import { auditText } from '../text/audit.ts'

const words = auditText
const dayOf = new Intl.DateTimeFormat(undefined, { dateStyle: 'full' })
const timeOf = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

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

export function Timeline({ events, more, ...actions }: { events: readonly Event[]; more: ReactNode } & Actions) {
  const days = Object.entries(Object.groupBy(events, (event) => dayOf.format(new Date(event.time))))
  return (
    <section aria-label={words.timeline} className="timeline">
      {days.map(([day, some = []]) => (
        <div key={day}>
          <h2 className="day">{day}</h2>
          <ol className="card events">
            {some.map((event) => (
              <Row key={event.uid} event={event} {...actions} />
            ))}
          </ol>
        </div>
      ))}
      <div className="more-events">{more}</div>
    </section>
  )
}

function Row({ event, onUser, onSession }: { event: Event } & Actions) {
  const [open, setOpen] = useState(false)
  const sentence = stripControl(describeEvent(event))
  const user = typeof event.user === 'string' ? event.user : ''
  const sid = typeof event.sid === 'string' ? event.sid : ''
  const isFailure = event.code.endsWith('W') || event.code.endsWith('E') || event.success === false
  return (
    <li className={isFailure ? 'event failure' : 'event'}>
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
        onClick={() => setOpen(!open)}
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
    </li>
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
