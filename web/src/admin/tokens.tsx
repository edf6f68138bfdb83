/** Tokens with which machines join, and the way of a new server from a command to its place in the listing. */

import { Button, Checkbox, Group, Loader, Modal, Stack, Text, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { auth, type CallOutput, may, removed, type routes, type WebState } from '../api.ts'
import { Confirm, CopyButton, Empty, Loading, Problem, When } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { usePresence } from './data.ts'
import { DurationSelect } from './duration.tsx'
import { joinCommand, labelsOf } from './join-command.ts'
import { TableHead } from './table-head.tsx'
import { Words } from './users.tsx'

const words = adminText.tokens
const roles = ['node', 'proxy'] as const
type Created = CallOutput<typeof routes.createToken>

const useTokens = (state: WebState, everyMs: number) =>
  useQuery({
    queryKey: ['tokens', state.user?.name],
    queryFn: ({ signal }) => auth<typeof routes.listTokens>('GET /v1/tokens', {}, { signal, background: true }),
    enabled: may(state.user, 'GET /v1/tokens'),
    refetchInterval: everyMs,
  })

export function TokensSection({ state }: { state: WebState }) {
  const tokens = useTokens(state, 30_000)
  const [isAdding, setAdding] = useState(false)
  const [revoking, setRevoking] = useState<string>()
  useLostSession(tokens.error)
  const rows = [
    ...(tokens.data?.tokens ?? []).map((token) => ({
      name: token.token,
      type: token.roles.join(', '),
      labels: Object.entries(token.labels).map(([key, value]) => `${key}=${value}`),
      expires: token.expires,
      isStatic: token.static,
    })),
    ...(tokens.data?.invites ?? []).map((invite) => ({
      name: invite.token,
      type: words.invite(invite.user),
      labels: [],
      expires: invite.expires,
      isStatic: false,
    })),
  ]
  return (
    <>
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        {may(state.user, 'POST /v1/tokens') ? (
          <Button size="sm" onClick={() => setAdding(true)}>
            {words.add}
          </Button>
        ) : null}
      </div>
      <Text c="dimmed" size="sm">
        {words.hint}
      </Text>
      <Problem error={tokens.error} retry={() => tokens.refetch()} />
      {tokens.isLoading ? <Loading rows={3} /> : null}
      {tokens.data !== undefined && rows.length === 0 ? <Empty title={words.none} /> : null}
      {rows.length === 0 ? null : (
        <div className="card spaced">
          <table className="data stacked">
            <TableHead names={[words.token, words.type, words.labels, words.expires]} />
            <tbody>
              {rows.map((row, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: two may be abbreviated alike
                <tr key={`${row.name} ${index}`}>
                  <th scope="row" className="mono">
                    {row.name}
                  </th>
                  <td data-label={words.type}>{row.type}</td>
                  <td data-label={words.labels}>{row.labels.join(', ') || '–'}</td>
                  <td data-label={words.expires}>
                    {row.isStatic ? (
                      words.static
                    ) : row.expires === undefined ? (
                      adminText.never
                    ) : (
                      <When time={row.expires} />
                    )}
                  </td>
                  <td className="row-actions">
                    {!row.isStatic && may(state.user, 'DELETE /v1/tokens/:name') ? (
                      <Button
                        size="xs"
                        variant="default"
                        aria-label={words.revokeOf(row.name)}
                        onClick={() => setRevoking(row.name)}
                      >
                        {words.revoke}
                      </Button>
                    ) : null}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {isAdding ? <AddServer state={state} onClose={() => setAdding(false)} /> : null}
      {revoking === undefined ? null : <Revoke name={revoking} onClose={() => setRevoking(undefined)} />}
    </>
  )
}

function Revoke({ name, onClose }: { name: string; onClose(): void }) {
  const client = useQueryClient()
  const revoke = useMutation({
    mutationFn: () => removed(auth<typeof routes.deleteToken>('DELETE /v1/tokens/:name', { params: { name } })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['tokens'] })
      onClose()
    },
  })
  useLostSession(revoke.error)
  return (
    <Confirm
      opened
      title={words.revokeOf(name)}
      action={words.revoke}
      busy={revoke.isPending}
      error={revoke.error}
      onConfirm={() => revoke.mutate()}
      onClose={onClose}
    >
      <Text size="sm">{words.revokeHint}</Text>
    </Confirm>
  )
}

function AddServer({ state, onClose }: { state: WebState; onClose(): void }) {
  const client = useQueryClient()
  const [chosen, setChosen] = useState<readonly ('node' | 'proxy')[]>(['node'])
  const [labels, setLabels] = useState<string[]>([])
  const [ttl, setTtl] = useState('900')
  const nodes = usePresence(state.user, 'node', false)
  const [known, setKnown] = useState<ReadonlySet<string>>(new Set())
  const read = labelsOf(labels)
  const create = useMutation({
    mutationFn: async () => {
      if ('bad' in read) throw new Error(words.badLabel(read.bad))
      // Of before the token: what is new afterwards is the machine.
      const { data = [] } = await nodes.refetch()
      setKnown(new Set(data.map(({ uuid }) => uuid)))
      return await auth<typeof routes.createToken>('POST /v1/tokens', {
        body: { roles: [...chosen], labels: read.labels, ttlSeconds: Number(ttl) },
      })
    },
    onSuccess: () => client.invalidateQueries({ queryKey: ['tokens'] }),
  })
  useLostSession(create.error)
  return (
    <Modal opened onClose={onClose} title={words.add} size="lg" centered>
      {create.data !== undefined && !('bad' in read) ? (
        <Arrival
          state={state}
          created={create.data}
          labels={read.labels}
          known={known}
          onAgain={() => create.reset()}
          onClose={onClose}
        />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            create.mutate()
          }}
        >
          <Stack gap="md">
            <Checkbox.Group
              label={words.roles}
              value={[...chosen]}
              onChange={(value) => setChosen(roles.filter((role) => value.includes(role)))}
            >
              <Stack gap="xs" mt="xs">
                {roles.map((role) => (
                  <Checkbox key={role} value={role} label={words.roleNames[role]} />
                ))}
              </Stack>
            </Checkbox.Group>
            <Words
              label={words.labels}
              description={words.labelsHint}
              value={labels}
              onChange={setLabels}
              error={'bad' in read ? words.badLabel(read.bad) : undefined}
            />
            <DurationSelect label={adminText.validity} value={ttl} choices={[300, 900]} onChange={setTtl} />
            <Problem error={create.error} />
            <Group justify="flex-end">
              <Button type="submit" loading={create.isPending} disabled={chosen.length === 0 || 'bad' in read}>
                {words.make}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  )
}

/** The command, and what has become of it. */
function Arrival(props: {
  readonly state: WebState
  readonly created: Created
  readonly labels: Readonly<Record<string, string>>
  readonly known: ReadonlySet<string>
  onAgain(): void
  onClose(): void
}) {
  const { state, created, labels, known } = props
  const { token, caPins, authServers } = created
  const authServer = authServers[0] ?? 'AUTH_SERVER:3025'
  const command = joinCommand({ roles: token.roles, token: token.token, caPins, authServer, labels })
  const isNode = token.roles.includes('node')
  const nodes = usePresence(state.user, 'node', 2000)
  const tokens = useTokens(state, 2000)
  const arrived = nodes.data?.find(
    ({ uuid, labels: has }) => !known.has(uuid) && Object.entries(labels).every(([key, value]) => has[key] === value),
  )
  // Listings show how it begins.
  const isListed = tokens.data?.tokens.some(({ token: shown }) => token.token.startsWith(shown.replace(/…$/, '')))
  const isOver = token.expires !== undefined && Date.parse(token.expires) < Date.now()
  const isUsed = tokens.data !== undefined && isListed === false && !isOver
  return (
    <Stack gap="sm">
      <Title order={3} size="h5">
        {words.run}
      </Title>
      <pre className="command">{command}</pre>
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          {words.runHint(authServer)}
        </Text>
        <CopyButton size="sm" value={command} name={words.copy} />
      </Group>
      <div className={arrived === undefined && !(isUsed && !isNode) ? 'arrival' : 'arrival there'} role="status">
        {arrived !== undefined ? (
          <strong>✓ {words.arrived(arrived.hostname)}</strong>
        ) : isUsed && !isNode ? (
          <strong>✓ {words.unseen}</strong>
        ) : isOver && isListed === false ? (
          words.expired
        ) : (
          <>
            <Loader size="xs" aria-hidden="true" />
            {isUsed ? words.used : words.waiting}
          </>
        )}
      </div>
      <Group justify="flex-end">
        <Button variant="default" onClick={props.onAgain}>
          {words.again}
        </Button>
        {arrived === undefined ? (
          <Button variant="default" onClick={props.onClose}>
            {adminText.close}
          </Button>
        ) : (
          <Link to="/web/nodes" className="go">
            {words.ready}
          </Link>
        )}
      </Group>
    </Stack>
  )
}
