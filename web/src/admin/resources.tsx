/** Roles, users and settings as documents: chosen at the left, changed at the right. */

import { Button, NativeSelect, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { may, type WebState } from '../api.ts'
import { Empty, Loading, Problem } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { isSettings, kinds, listNames, needs, readOne } from './resource-calls.ts'
import { ResourceEditor } from './resource-editor.tsx'

const words = adminText.resources
/** No resource is called so: names hold no space. */
const fresh = '- new -'

const template = `kind: role
version: v4
metadata:
  name: new-role
spec:
  options:
    max_session_ttl: 8h0m0s
  allow:
    logins: ['{{internal.logins}}']
    node_labels:
      env: dev
  deny: {}
`

export function ResourcesSection({ state }: { state: WebState }) {
  const search = useSearch({ from: '/web/admin/$section' })
  const navigate = useNavigate({ from: '/web/admin/$section' })
  const own = kinds.filter((kind) => may(state.user, needs[kind].read))
  const [first = 'role'] = own
  const kind = own.find((each) => each === search.kind) ?? first
  const names = useQuery({
    queryKey: ['resource-names', kind, state.user?.name],
    queryFn: ({ signal }) => listNames(kind, signal),
  })
  const name = isSettings(kind) ? names.data?.[0] : search.name
  const isFresh = name === fresh && kind === 'role'
  const one = useQuery({
    queryKey: ['resource', kind, name],
    queryFn: ({ signal }) => readOne(kind, name ?? '', signal),
    enabled: name !== undefined && !isFresh,
    // What is being changed must not change by itself.
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    staleTime: 0,
    gcTime: 0,
  })
  useLostSession(names.error ?? one.error)
  const choose = (to: string) => void navigate({ search: { kind, name: to } })
  return (
    <>
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        {kind === 'role' && may(state.user, needs.role.write) ? (
          <Button size="sm" onClick={() => choose(fresh)}>
            {words.add}
          </Button>
        ) : null}
      </div>
      <div className="resources">
        <div>
          <NativeSelect
            label={words.kind}
            value={kind}
            onChange={(event) => void navigate({ search: { kind: event.currentTarget.value } })}
            data={own.map((value) => ({ value, label: words.kinds[value] }))}
          />
          <Problem error={names.error} retry={() => names.refetch()} />
          {names.isPending ? <Loading rows={3} /> : null}
          {isSettings(kind) || names.data === undefined ? null : (
            <ul className="card names" aria-label={words.names(words.kinds[kind])}>
              {names.data.map((each) => (
                <li key={each}>
                  <button
                    type="button"
                    className="plain"
                    aria-current={each === name ? 'true' : undefined}
                    onClick={() => choose(each)}
                  >
                    {each}
                  </button>
                </li>
              ))}
            </ul>
          )}
        </div>
        <div className="grow">
          <Problem error={one.error} retry={() => one.refetch()} />
          {name === undefined && names.data !== undefined ? <Empty title={words.choose} /> : null}
          {name !== undefined && !isFresh && one.isPending && one.error === null ? <Loading /> : null}
          {isFresh ? (
            <ResourceEditor
              key={fresh}
              state={state}
              kind="role"
              resource={{ name: words.fresh, revision: undefined, text: template }}
              onSaved={choose}
              onRemoved={() => undefined}
            />
          ) : null}
          {one.data === undefined || isFresh ? null : (
            <ResourceEditor
              key={`${kind} ${one.data.name}`}
              state={state}
              kind={kind}
              resource={one.data}
              onSaved={() => void names.refetch()}
              onRemoved={() => void navigate({ search: { kind } }).then(() => names.refetch())}
            />
          )}
        </div>
      </div>
    </>
  )
}
