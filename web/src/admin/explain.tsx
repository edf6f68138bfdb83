/** Who may log in where, and why: the question stands in the address, the answer comes from auth. */

import { Autocomplete, Button, Text, TextInput, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { auth, type CallOutput, type routes, type WebState } from '../api.ts'
import { Loading, Problem } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { usePresence, useUsers } from './data.ts'

const words = adminText.explain
type Answer = CallOutput<typeof routes.explainAccess>['items'][number]

export function ExplainSection({ state }: { state: WebState }) {
  const { user = '', login = '', node = '' } = useSearch({ from: '/web/admin/$section' })
  const navigate = useNavigate({ from: '/web/admin/$section' })
  const [form, setForm] = useState({ user, login, node })
  const users = useUsers(state.user)
  const nodes = usePresence(state.user, 'node', false)
  const isAsked = user !== '' && login !== '' && node !== ''
  const answer = useQuery({
    queryKey: ['explain', user, login, node],
    queryFn: ({ signal }) =>
      auth<typeof routes.explainAccess>('GET /v1/access/explain', { query: { user, login, node } }, { signal }),
    enabled: isAsked,
    retry: false,
    gcTime: 0,
  })
  useLostSession(answer.error)
  const person = users.data?.find(({ name }) => name === form.user)
  return (
    <>
      <Title order={1} size="h2">
        {words.title}
      </Title>
      <Text c="dimmed" size="sm">
        {words.hint}
      </Text>
      <form
        className="ask"
        onSubmit={(event) => {
          event.preventDefault()
          const asked = { user: form.user.trim(), login: form.login.trim(), node: form.node.trim() }
          void navigate({ search: asked })
          // The same question again is asked again.
          if (asked.user === user && asked.login === login && asked.node === node) void answer.refetch()
        }}
      >
        <Autocomplete
          label={words.user}
          value={form.user}
          onChange={(value) => setForm({ ...form, user: value })}
          data={users.data?.map(({ name }) => name) ?? []}
          limit={50}
          required
          withAsterisk={false}
        />
        <Autocomplete
          label={words.login}
          value={form.login}
          onChange={(value) => setForm({ ...form, login: value })}
          data={[...new Set(person?.traits.logins ?? [])]}
          required
          withAsterisk={false}
        />
        {nodes.data === undefined || nodes.data.length === 0 ? (
          <TextInput
            label={words.node}
            value={form.node}
            onChange={(event) => setForm({ ...form, node: event.currentTarget.value })}
            required
            withAsterisk={false}
          />
        ) : (
          <Autocomplete
            label={words.node}
            value={form.node}
            onChange={(value) => setForm({ ...form, node: value })}
            data={[...new Set(nodes.data.map(({ hostname }) => hostname))]}
            limit={50}
            required
            withAsterisk={false}
          />
        )}
        <Button type="submit">{words.ask}</Button>
      </form>
      <div aria-live="polite">
        {isAsked && answer.isPending ? <Loading rows={3} /> : null}
        <Problem error={answer.error} />
        {(answer.data?.items ?? []).map((one) => (
          <Explained key={one.nodeId} answer={one} />
        ))}
      </div>
    </>
  )
}

function Explained({ answer }: { answer: Answer }) {
  const { user, login, node, allow, reason, conditions = [], missingRoles = [] } = answer
  const labels = Object.entries(answer.labels).map(([key, value]) => `${key}=${value}`)
  return (
    <section className={allow ? 'card answer allowed' : 'card answer denied'}>
      <Title order={2} size="h4">
        {allow ? '✓' : '✗'} {allow ? words.allowed(user, login, node) : words.denied(user, login, node)}
      </Title>
      <dl className="facts">
        <Fact name={words.because} value={reason} />
        {conditions.map((condition) => (
          <Fact key={condition} name={words.rule} value={condition} />
        ))}
        <Fact name={words.labels} value={labels.sort().join(', ') || adminText.none} />
      </dl>
      {missingRoles.map((role) => (
        <Text key={role} className="warn" size="sm">
          {words.missing(role)}
        </Text>
      ))}
      <table className="data stacked">
        <thead>
          <tr>
            {[words.role, words.effect, words.why].map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {answer.roles.map(({ role, effect, because }) => (
            <tr key={role}>
              <th scope="row">{role}</th>
              <td data-label={words.effect} className={effect}>
                {words.effects[effect]}
              </td>
              <td data-label={words.why}>{because}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {allow ? <Options answer={answer} /> : null}
    </section>
  )
}

const Fact = ({ name, value }: { name: string; value: string }) => (
  <div className="fact">
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
)

const minutes = (ms: number): string =>
  ms === 0 ? adminText.none : ms % 3_600_000 === 0 ? `${ms / 3_600_000} h` : `${Math.round(ms / 6000) / 10} min`
const yes = (value: boolean): string => (value ? words.yes : words.no)

function Options({ answer: { options, sessionRecording, createHostUser } }: { answer: Answer }) {
  const { forwardTo } = options
  const facts: readonly (readonly [string, string])[] = [
    [words.option.ttl, minutes(options.sessionTtlSeconds * 1000)],
    [
      words.option.port,
      options.portForwarding && forwardTo !== undefined ? words.to(forwardTo.join(', ')) : yes(options.portForwarding),
    ],
    [words.option.agent, yes(options.agentForwarding)],
    [words.option.x11, yes(options.x11Forwarding)],
    [words.option.files, yes(options.fileCopy)],
    [words.option.idle, minutes(options.idleTimeoutMs)],
    [words.option.mfa, yes(options.requireSessionMfa)],
    [words.option.recording, `${sessionRecording}, ${options.recordStrict ? words.strict : words.bestEffort}`],
    [words.option.lock, options.lock === 'strict' ? words.strict : words.bestEffort],
    [words.option.address, yes(options.pinSourceIp)],
    [words.option.account, yes(createHostUser)],
  ]
  return (
    <>
      <Title order={3} size="h5" mt="md">
        {words.options}
      </Title>
      <dl className="facts two">
        {facts.map(([name, value]) => (
          <Fact key={name} name={name} value={value} />
        ))}
      </dl>
    </>
  )
}
