/** Who one is here, in which browsers, and how one proves it. */

import { Badge, Group, Paper, Title } from '@mantine/core'
import { type ReactNode, useEffect } from 'react'
import { may, type WebState } from '../api.ts'
import { useLastUser } from '../session.tsx'
import { words } from '../text/account.ts'
import { Devices } from './devices.tsx'
import { Elsewhere } from './elsewhere.tsx'
import { Password } from './password.tsx'
import './account.css'

const time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

const Row = ({ name, children }: { name: string; children: ReactNode }) => (
  <div className="fact">
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

export function AccountPage({ state: present }: { state: WebState }) {
  const state = useLastUser(present)
  useEffect(() => {
    document.title = `${words.title} · ${state.clusterName}`
  }, [state.clusterName])
  const { user } = state
  if (user === undefined) return null
  return (
    <div className="page narrow">
      <Title order={1} size="h2" mb="md">
        {words.title}
      </Title>
      <Paper className="card" p="lg" withBorder>
        <dl className="facts">
          <Row name={words.user}>{user.name}</Row>
          <Row name={words.roles}>
            <Group gap={6}>
              {user.roles.map((role) => (
                <Badge key={role} variant="default" tt="none">
                  {role}
                </Badge>
              ))}
            </Group>
          </Row>
          <Row name={words.logins}>{user.logins.join(', ') || '–'}</Row>
          <Row name={words.until}>{time.format(new Date(user.expires))}</Row>
          <Row name={words.idle}>{time.format(new Date(user.idleExpires))}</Row>
        </dl>
      </Paper>
      <Elsewhere user={user} />
      {may(user, 'GET /v1/mfa/devices') ? <Devices user={user.name} secondFactor={state.secondFactor} /> : null}
      <Password state={state} user={user.name} />
    </div>
  )
}
