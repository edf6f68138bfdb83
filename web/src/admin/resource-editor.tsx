/**
 * One document being changed: checked while one types, compared before it is saved, and saved only over what it was made from. What
 * somebody else saved meanwhile is shown beside it, and the text is never lost.
 */

import { Alert, Button, Checkbox, Group, Modal, Tabs, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useId, useState } from 'react'
import { type ResourceText, readResourceText, type TextKind } from '../../../src/api/resource-text.ts'
import { ApiError, may, type WebState } from '../api.ts'
import { Confirm, Problem } from '../parts.tsx'
import { useLostSession } from '../session.tsx'
import { adminText } from '../text/admin.ts'
import { useRoles } from './data.ts'
import { diffLines, excerpt } from './diff.ts'
import { isSettings, needs, readOne, remove, write } from './resource-calls.ts'
import { RoleForm } from './role-form.tsx'
import { TextEditor } from './text-editor.tsx'
import { UserForm } from './user-form.tsx'

const words = adminText.resources

export interface EditorProps {
  readonly state: WebState
  readonly kind: TextKind
  /** Without a revision, a new one. */
  readonly resource: ResourceText
  onSaved(name: string): void
  onRemoved(): void
}

export function ResourceEditor({ state, kind, resource, onSaved, onRemoved }: EditorProps) {
  const client = useQueryClient()
  const isNew = resource.revision === undefined
  const [base, setBase] = useState(resource)
  const [text, setText] = useState(resource.text)
  const [isReviewing, setReviewing] = useState(false)
  const [isRemoving, setRemoving] = useState(false)
  const [conflict, setConflict] = useState<string>()
  const [confirm, setConfirm] = useState(false)
  const [isSaved, setSaved] = useState(false)
  const problemsId = useId()
  const checked = check(text, kind, isNew ? undefined : resource.name)
  const save = useMutation({
    mutationFn: async () => {
      const read = readResourceText(text, kind)
      await write(read, { revision: base.revision, confirm })
      return read.name
    },
    onSuccess: async (name) => {
      setReviewing(false)
      setConflict(undefined)
      setSaved(true)
      await Promise.all(
        ['users', 'roles', 'resource-names'].map((key) => client.invalidateQueries({ queryKey: [key] })),
      )
      onSaved(name)
      if (!isNew) setBase({ ...(await readOne(kind, name)), text })
    },
    async onError(error) {
      if (!(error instanceof ApiError) || error.status !== 409 || isNew) return
      // What is there now becomes what saving counts from, once the person has seen it.
      try {
        setBase(await readOne(kind, resource.name))
        setConflict(error.message)
      } catch (problem) {
        if (!(problem instanceof ApiError) || problem.status !== 404) throw problem
        setBase({ name: resource.name, revision: undefined, text: '' })
        setConflict(`${error.message}\n${words.gone}`)
      }
    },
  })
  useLostSession(save.error)
  const change = (to: string) => {
    setSaved(false)
    setText(to)
  }
  const mayWrite = may(state.user, needs[kind].write)
  const roles = (useRoles(state.user).data ?? []).map(({ metadata }) => metadata.name)
  const editor = (
    <TextEditor
      label={words.editor(resource.name)}
      value={text}
      bad={checked.lines}
      describedBy={problemsId}
      readOnly={!mayWrite}
      onChange={change}
    />
  )
  const isConflict = conflict !== undefined
  return (
    <>
      {kind === 'role' || kind === 'user' ? (
        <Tabs defaultValue="form" keepMounted={false}>
          <Tabs.List>
            <Tabs.Tab value="form">{words.form}</Tabs.Tab>
            <Tabs.Tab value="yaml">{words.yaml}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="form" pt="sm">
            {kind === 'role' ? (
              <RoleForm text={text} onChange={change} readOnly={!mayWrite} />
            ) : (
              <UserForm text={text} roles={roles} onChange={change} readOnly={!mayWrite} />
            )}
          </Tabs.Panel>
          <Tabs.Panel value="yaml" pt="sm">
            {editor}
          </Tabs.Panel>
        </Tabs>
      ) : (
        editor
      )}
      <div id={problemsId} aria-live="polite" className="problems">
        {checked.problems.length === 0 ? (
          <Text size="sm" c="dimmed">
            {isSaved ? words.saved : words.valid}
          </Text>
        ) : (
          <ul aria-label={words.problems}>
            {checked.problems.map((problem) => (
              <li key={problem}>{problem}</li>
            ))}
          </ul>
        )}
      </div>
      <Group>
        {mayWrite ? (
          <Button
            disabled={checked.problems.length > 0 || (text === base.text && !isNew)}
            onClick={() => {
              save.reset()
              setReviewing(true)
            }}
          >
            {words.review}
          </Button>
        ) : null}
        {!isNew && kind !== 'user' && may(state.user, needs[kind].remove) ? (
          <Button variant="default" onClick={() => setRemoving(true)}>
            {isSettings(kind) ? words.reset : words.remove}
          </Button>
        ) : null}
      </Group>
      <Modal opened={isReviewing} onClose={() => setReviewing(false)} title={words.changes} size="xl">
        {isConflict ? (
          <Alert color="yellow" variant="light" role="alert" title={words.conflict} className="refusal" mb="sm">
            <Text size="sm" className="said">
              {conflict}
              {'\n'}
              {words.conflictHint}
            </Text>
          </Alert>
        ) : null}
        <Diff before={isNew && !isConflict ? '' : base.text} after={text} />
        {isSettings(kind) ? (
          <Checkbox
            mt="sm"
            label={words.confirm}
            checked={confirm}
            onChange={(event) => setConfirm(event.currentTarget.checked)}
          />
        ) : null}
        <Problem
          error={isConflict && save.error instanceof ApiError && save.error.status === 409 ? null : save.error}
        />
        <Group justify="flex-end" mt="md">
          {isConflict ? (
            <Button
              variant="default"
              onClick={() => {
                change(base.text)
                setConflict(undefined)
                setReviewing(false)
              }}
            >
              {words.discard}
            </Button>
          ) : null}
          <Button variant="default" onClick={() => setReviewing(false)}>
            {adminText.cancel}
          </Button>
          <Button loading={save.isPending} onClick={() => save.mutate()} disabled={text === base.text && !isNew}>
            {adminText.save}
          </Button>
        </Group>
      </Modal>
      {isRemoving ? (
        <RemoveResource kind={kind} name={resource.name} onRemoved={onRemoved} onClose={() => setRemoving(false)} />
      ) : null}
    </>
  )
}

interface Checked {
  readonly problems: readonly string[]
  readonly lines: ReadonlySet<number>
}

function check(text: string, kind: TextKind, name: string | undefined): Checked {
  try {
    const read = readResourceText(text, kind)
    if (name === undefined || read.name === name) return { problems: [], lines: new Set() }
    return { problems: [words.renamed(name)], lines: new Set() }
  } catch (error) {
    const problems = (error instanceof Error ? error.message : String(error)).split('\n')
    const lines = problems.flatMap((problem) => /^(\d+):/.exec(problem)?.[1] ?? [])
    return { problems: [...new Set(problems)], lines: new Set(lines.map(Number)) }
  }
}

function Diff({ before, after }: { before: string; after: string }) {
  if (before === after) return <Text c="dimmed">{words.unchanged}</Text>
  return (
    <div className="diff" role="group" aria-label={words.changes}>
      {excerpt(diffLines(before, after)).map((line, index) =>
        line === undefined ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
          <div key={index} className="left-out">
            <span aria-hidden="true">⋯</span>
            <span className="visually-hidden">{words.leftOut}</span>
          </div>
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
          <div key={index} className={line.kind}>
            <span aria-hidden="true">{{ same: ' ', added: '+', removed: '−' }[line.kind]}</span>
            {line.kind === 'same' ? null : (
              <span className="visually-hidden">{line.kind === 'added' ? words.added : words.removedLine}: </span>
            )}
            <code>{line.text}</code>
          </div>
        ),
      )}
    </div>
  )
}

function RemoveResource(props: { kind: TextKind; name: string; onRemoved(): void; onClose(): void }) {
  const { kind, name, onRemoved, onClose } = props
  const client = useQueryClient()
  const removal = useMutation({
    mutationFn: () => remove(kind, name),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['roles'] })
      if (isSettings(kind)) await client.invalidateQueries({ queryKey: ['resource'] })
      onRemoved()
      onClose()
    },
  })
  useLostSession(removal.error)
  return (
    <Confirm
      opened
      title={isSettings(kind) ? words.reset : words.removeOf(name)}
      action={isSettings(kind) ? words.reset : words.remove}
      busy={removal.isPending}
      error={removal.error}
      onConfirm={() => removal.mutate()}
      onClose={onClose}
    >
      {isSettings(kind) ? null : <Text size="sm">{words.removeHint}</Text>}
    </Confirm>
  )
}
