/** How the cluster is: its parts, their versions, and what needs somebody to act. */

import { Badge, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { auth, type routes, type WebState } from '../api.ts'
import { Loading, Problem } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { usePresence, useStatus } from './data.ts'

const words = adminText.overview
const roles = ['auth', 'proxy', 'node'] as const
const mostShown = 200

export function OverviewSection({ state }: { state: WebState }) {
  const status = useStatus()
  const config = useQuery({
    queryKey: ['config'],
    queryFn: ({ signal }) => auth<typeof routes.getConfig>('GET /v1/config', {}, { signal, background: true }),
  })
  const auths = usePresence(state.user, 'auth', 30_000)
  const proxies = usePresence(state.user, 'proxy', 30_000)
  const nodes = usePresence(state.user, 'node', 30_000)
  useLostSession(status.error)
  const lists = { auth: auths, proxy: proxies, node: nodes }
  const all = roles.flatMap((role) => lists[role].data ?? [])
  const { data } = status
  if (data === undefined)
    return status.error === null ? <Loading /> : <Problem error={status.error} retry={status.refetch} />
  const { audit } = data
  const log =
    audit === undefined
      ? undefined
      : [audit.damaged ? words.damaged : words.whole(audit.last), words.disks[audit.disk]].filter((part) => part !== '')
  return (
    <>
      <Title order={1} size="h2" mb="md">
        {words.title}
      </Title>
      <div className="tiles">
        {roles.map((role) => (
          <div key={role} className="card tile">
            <span>{words.roles[role]}</span>
            <strong>{countOf(role, lists[role].data?.length)}</strong>
            {role === 'proxy' && lists.proxy.data?.length === 0 ? <small>{words.unseen}</small> : null}
          </div>
        ))}
      </div>
      <dl className="card facts padded">
        <Fact name={words.cluster} value={data.clusterName} />
        <Fact name={words.version} value={data.version} />
        {log === undefined ? null : (
          <Fact name={words.auditLog} value={log.join(', ')} bad={audit?.damaged === true || audit?.disk !== 'ok'} />
        )}
        {data.recordingAlarm === undefined ? null : <Fact name={words.recordings} value={data.recordingAlarm} bad />}
        {config.data === undefined ? null : (
          <>
            <Fact name={words.secondFactor} value={config.data.secondFactor} />
            <Fact name={words.recording} value={config.data.sessionRecording} />
          </>
        )}
        {data.caPins.map((pin) => (
          <Fact key={pin} name={words.pins} value={pin} mono />
        ))}
      </dl>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {words.machines}
      </Title>
      <div className="card">
        <table className="data stacked">
          <thead>
            <tr>
              <th scope="col">{words.name}</th>
              <th scope="col">{words.role}</th>
              <th scope="col">{words.address}</th>
              <th scope="col">{words.version}</th>
            </tr>
          </thead>
          <tbody>
            {all.slice(0, mostShown).map((one) => (
              <tr key={`${one.role} ${one.uuid}`}>
                <th scope="row">
                  <span className={one.quiet === true ? 'pulse quiet' : 'pulse'} />
                  {one.hostname}
                  {one.quiet === true ? <span className="warn"> {words.quiet}</span> : null}
                </th>
                <td data-label={words.role}>
                  <Badge variant="default" tt="none">
                    {one.role}
                  </Badge>
                </td>
                <td data-label={words.address} className="mono">
                  {one.address}
                </td>
                <td data-label={words.version}>
                  {one.version}
                  {one.version === data.version ? null : <span className="warn"> {words.otherVersion}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

/** One auth server has answered, whether or not it is listed; and a proxy has brought the answer. */
function countOf(role: (typeof roles)[number], listed: number | undefined): number | string {
  if (listed === undefined) return '…'
  if (role === 'proxy' && listed === 0) return '–'
  return role === 'auth' ? Math.max(1, listed) : listed
}

const Fact = (props: { name: string; value: string; bad?: boolean; mono?: boolean }) => (
  <div className="fact">
    <dt>{props.name}</dt>
    <dd className={props.bad === true ? 'warn' : props.mono === true ? 'mono' : undefined}>{props.value}</dd>
  </div>
)
