/** Logins, sessions and failures over time: three small drawings, and the same numbers as a table. */

import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { auth, type routes } from '../api.ts'
import { auditText } from '../text/audit.ts'
import { type Bucket, bucketsOf, type CountedEvent, countedTypes, type Series, series } from './buckets.ts'

const words = auditText.chart
const bars = 24
const mostPages = 5
const pageSize = 1000

export function Charts({ from, to, user }: { from: number; to: number; user: string | undefined }) {
  const { data } = useQuery({
    queryKey: ['audit', 'chart', from, to, user],
    queryFn: async ({ signal }) => {
      const events: CountedEvent[] = []
      let after: string | undefined
      for (let page = 0; page < mostPages; page++) {
        const { items, next } = await auth<typeof routes.searchEvents>(
          'GET /v1/audit/events',
          {
            query: {
              type: countedTypes,
              from: new Date(from).toISOString(),
              to: new Date(to).toISOString(),
              limit: pageSize,
              ...(user === undefined ? {} : { user }),
              ...(after === undefined ? {} : { after }),
            },
          },
          { signal, background: true },
        )
        events.push(...items)
        after = next
        if (after === undefined) break
      }
      return { buckets: bucketsOf(events, from, to, bars), cut: after === undefined ? 0 : events.length }
    },
  })
  const buckets = data?.buckets ?? bucketsOf([], from, to, bars)
  return (
    <section aria-label={words.title} className="charts">
      {series.map((name) => (
        <Bars key={name} name={name} buckets={buckets} />
      ))}
      <details className="chart-table">
        <summary>{words.table}</summary>
        {data === undefined || data.cut === 0 ? null : (
          <Text size="sm" c="dimmed">
            {words.cut(data.cut)}
          </Text>
        )}
        <CountTable buckets={buckets} />
      </details>
    </section>
  )
}

const [width, height, gap] = [240, 44, 2]

function Bars({ name, buckets }: { name: Series; buckets: readonly Bucket[] }) {
  const counts = buckets.map((bucket) => bucket[name])
  const total = counts.reduce((sum, count) => sum + count, 0)
  const most = Math.max(...counts)
  const step = width / buckets.length
  return (
    <div className="card chart">
      <div className="chart-head">
        <span>{words[name]}</span>
        <strong>{total}</strong>
      </div>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={words.summary(words[name], total, most)}
        className={name}
      >
        {buckets.map((bucket) => {
          const value = bucket[name]
          const tall = value === 0 ? 1 : Math.max(3, (value / most) * height)
          return (
            <rect
              key={bucket.start}
              x={((bucket.start - (buckets[0]?.start ?? 0)) / spanOf(buckets)) * width}
              y={height - tall}
              width={Math.max(1, step - gap)}
              height={tall}
              className={value === 0 ? 'empty' : undefined}
            />
          )
        })}
      </svg>
    </div>
  )
}

/** From the first start to the last end. */
function spanOf(buckets: readonly Bucket[]): number {
  const [first, second] = buckets
  return Math.max(1, ((second?.start ?? 0) - (first?.start ?? 0)) * buckets.length)
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'short' })

const CountTable = ({ buckets }: { buckets: readonly Bucket[] }) => (
  <div className="table-scroll">
    <table className="data">
      <thead>
        <tr>
          <th scope="col">{words.time}</th>
          {series.map((name) => (
            <th scope="col" key={name}>
              {words[name]}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {buckets.map((bucket) => (
          <tr key={bucket.start}>
            <th scope="row">{moment.format(bucket.start)}</th>
            {series.map((name) => (
              <td key={name}>{bucket[name]}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
)
