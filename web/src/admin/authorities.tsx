/** The keys that everybody trusts, and their replacement step by step. */

import { Button, Checkbox, Modal, NativeSelect, Stack, Text, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { auth, type CallInput, type CallOutput, may, type routes, type WebState } from '../api.ts'
import { Loading, Problem } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'

const words = adminText.authorities
type Report = CallOutput<typeof routes.getRotation>
type Authority = Report['authorities'][number]
type Body = CallInput<typeof routes.rotateAuthorities>['body']
type Phase = NonNullable<Body['phase']>

const steps = ['init', 'update_clients', 'update_servers', 'standby'] as const
const reportKey = ['rotation'] as const
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export function AuthoritiesSection({ state }: { state: WebState }) {
  const report = useQuery({
    queryKey: reportKey,
    queryFn: ({ signal }) =>
      auth<typeof routes.getRotation>('GET /v1/authorities/rotation', {}, { signal, background: true }),
    refetchInterval: 5_000,
  })
  const [isStarting, setStarting] = useState(false)
  const [step, setStep] = useState<{ readonly type: 'user' | 'host'; readonly phase: Phase }>()
  useLostSession(report.error)
  const mayRotate = may(state.user, 'POST /v1/authorities/rotate')
  const { data } = report
  const isIdle = data?.authorities.some(({ rotation }) => rotation === undefined) === true
  const isRotating = data?.authorities.some(({ rotation }) => rotation !== undefined) === true
  return (
    <>
      <div className="page-head">
        <Title order={1} size="h2">
          {words.title}
        </Title>
        {mayRotate && isIdle ? (
          <Button size="sm" onClick={() => setStarting(true)}>
            {words.start}
          </Button>
        ) : null}
      </div>
      <Text c="dimmed" size="sm">
        {words.hint}
      </Text>
      <Problem error={report.error} retry={() => report.refetch()} />
      {report.isPending ? <Loading rows={3} /> : null}
      {data?.authorities.map((authority) => (
        <AuthorityCard
          key={authority.type}
          authority={authority}
          onStep={mayRotate ? (phase) => setStep({ type: authority.type, phase }) : undefined}
        />
      ))}
      {data !== undefined && isRotating ? <Stragglers report={data} /> : null}
      {isStarting ? <StartRotation onClose={() => setStarting(false)} /> : null}
      {step === undefined ? null : <TakeStep {...step} onClose={() => setStep(undefined)} />}
    </>
  )
}

function AuthorityCard(props: { authority: Authority; onStep: ((phase: Phase) => void) | undefined }) {
  const { authority, onStep } = props
  const { type, keys, rotation, rotated } = authority
  const at = rotation === undefined ? -1 : (steps as readonly string[]).indexOf(rotation.phase)
  const next = steps[at + 1]
  return (
    <section className="card answer" aria-label={words[type]}>
      <Title order={2} size="h4">
        {words[type]}
      </Title>
      <Text size="sm" c="dimmed">
        {rotation === undefined
          ? rotated === undefined
            ? words.never
            : words.rotated(moment.format(new Date(rotated)))
          : `${words.phases[rotation.phase]}, ${
              rotation.nextPhase === undefined
                ? words.byHand
                : words.nextAt(moment.format(new Date(rotation.nextPhase)))
            }`}
      </Text>
      {rotation === undefined ? null : (
        <ol className="steps">
          {steps.slice(0, 3).map((phase, index) => (
            <li
              key={phase}
              className={index < at ? 'done' : undefined}
              {...(index === at ? { 'aria-current': 'step' as const } : {})}
            >
              {words.phases[phase]}
            </li>
          ))}
        </ol>
      )}
      <Text size="sm" mt="xs">
        {words.keys}
      </Text>
      {keys.map((key) => (
        <code key={key} className="mono break line">
          {key}
        </code>
      ))}
      {rotation === undefined || onStep === undefined ? null : (
        <div className="head-actions left">
          {rotation.phase === 'rollback' ? (
            <Button size="xs" onClick={() => onStep('standby')}>
              {words.finish}
            </Button>
          ) : (
            <>
              {rotation.mode === 'manual' && next !== undefined ? (
                <Button size="xs" onClick={() => onStep(next)}>
                  {next === 'standby' ? words.finish : words.next(words.phases[next])}
                </Button>
              ) : null}
              <Button size="xs" variant="default" onClick={() => onStep('rollback')}>
                {words.rollback}
              </Button>
            </>
          )}
        </div>
      )}
    </section>
  )
}

const Stragglers = ({ report }: { report: Report }) => (
  <section className="card answer">
    <Title order={2} size="h5">
      {report.waitingForCount === 0 ? words.all : words.waiting(report.waitingForCount)}
    </Title>
    <ul>
      {report.waitingFor.map(({ uuid, role, hostname, reason }) => (
        <li key={`${role} ${uuid}`}>
          {role} {hostname}: {reason}
        </li>
      ))}
    </ul>
  </section>
)

function useRotate(onDone: () => void) {
  const client = useQueryClient()
  const rotate = useMutation({
    mutationFn: (body: Body) => auth<typeof routes.rotateAuthorities>('POST /v1/authorities/rotate', { body }),
    onSuccess: (report) => {
      client.setQueryData(reportKey, report)
      onDone()
    },
  })
  useLostSession(rotate.error)
  return rotate
}

function StartRotation({ onClose }: { onClose(): void }) {
  const [type, setType] = useState<'' | 'user' | 'host'>('')
  const [mode, setMode] = useState<'auto' | 'manual'>('manual')
  const [grace, setGrace] = useState('108000')
  const rotate = useRotate(onClose)
  return (
    <Modal opened onClose={onClose} title={words.start} centered>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          rotate.mutate({
            mode,
            ...(type === '' ? {} : { type }),
            ...(mode === 'auto' ? { gracePeriodSeconds: Number(grace) } : {}),
          })
        }}
      >
        <Stack gap="sm">
          <NativeSelect
            label={words.which}
            value={type}
            onChange={(event) => setType(pick(['', 'user', 'host'], event.currentTarget.value))}
            data={[
              { value: '', label: words.both },
              { value: 'user', label: words.user },
              { value: 'host', label: words.host },
            ]}
          />
          <NativeSelect
            label={words.mode}
            value={mode}
            onChange={(event) => setMode(pick(['manual', 'auto'], event.currentTarget.value))}
            data={[
              { value: 'manual', label: words.manual },
              { value: 'auto', label: words.auto },
            ]}
          />
          {mode === 'auto' ? (
            <NativeSelect
              label={words.auto}
              value={grace}
              onChange={(event) => setGrace(event.currentTarget.value)}
              data={Object.entries(words.grace).map(([value, label]) => ({ value, label }))}
            />
          ) : null}
          <Text size="sm" c="dimmed">
            {words.startHint[mode]}
          </Text>
          <Problem error={rotate.error} />
          <Button type="submit" loading={rotate.isPending}>
            {words.start}
          </Button>
        </Stack>
      </form>
    </Modal>
  )
}

/** The first where it is none of them. */
const pick = <const T extends string>(known: readonly [T, ...T[]], value: string): T =>
  known.find((each) => each === value) ?? known[0]

function TakeStep({ type, phase, onClose }: { type: 'user' | 'host'; phase: Phase; onClose(): void }) {
  const [force, setForce] = useState(false)
  const rotate = useRotate(onClose)
  const name = phase === 'rollback' ? words.rollback : phase === 'standby' ? words.finish : words.phases[phase]
  return (
    <Modal opened onClose={onClose} title={`${words[type]}: ${name}`} centered>
      <Stack gap="sm">
        <Text size="sm">{phase === 'rollback' ? words.rollbackHint : words.nextHint[phase]}</Text>
        {phase === 'standby' ? (
          <Checkbox checked={force} onChange={(event) => setForce(event.currentTarget.checked)} label={words.force} />
        ) : null}
        <Problem error={rotate.error} />
        <div className="head-actions">
          <Button variant="default" onClick={onClose}>
            {adminText.cancel}
          </Button>
          <Button
            color="red.9"
            loading={rotate.isPending}
            onClick={() => rotate.mutate({ type, mode: 'manual', phase, force })}
          >
            {name}
          </Button>
        </div>
      </Stack>
    </Modal>
  )
}
