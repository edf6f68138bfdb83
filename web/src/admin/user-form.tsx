/** Roles, logins and traits of a user; everything else of it stays as the YAML says. */

import { ActionIcon, Button, Stack, Text, TextInput, Title } from '@mantine/core'
import { useId, useState } from 'react'
import { CloseIcon } from '../icons.tsx'
import { adminText } from '../text/admin.ts'
import {
  loginsTrait,
  type Trait,
  traitProblem,
  userFieldsOf,
  withoutTrait,
  withRoles,
  withTrait,
} from './user-fields.ts'
import { Words } from './users.tsx'

const words = adminText.resources.user

export function UserForm(props: {
  text: string
  roles: readonly string[]
  readOnly: boolean
  onChange(text: string): void
}) {
  const { text, roles, readOnly, onChange } = props
  const titleId = useId()
  const fields = userFieldsOf(text)
  if (fields === undefined) return <Text className="warn">{words.unreadable}</Text>
  const set = (trait: Trait) => onChange(withTrait(text, trait))
  return (
    <Stack gap="sm" className="card padded">
      <Words
        label={adminText.users.roles}
        value={fields.roles}
        known={roles}
        disabled={readOnly}
        error={fields.roles.length === 0 ? adminText.users.required : undefined}
        onChange={(names) => onChange(withRoles(text, names))}
      />
      <Words
        label={adminText.users.logins}
        description={adminText.users.loginsHint}
        value={fields.logins}
        disabled={readOnly}
        onChange={(values) => set({ name: loginsTrait, values })}
      />
      <section aria-labelledby={titleId}>
        <Title order={2} size="h5" id={titleId}>
          {words.traits}
        </Title>
        <Text size="sm" c="dimmed">
          {words.traitsHint}
        </Text>
        <Stack gap="xs" mt="xs">
          {fields.traits.map((trait) => (
            <div key={trait.name} className="trait">
              <Words
                label={trait.name}
                value={trait.values}
                disabled={readOnly}
                onChange={(values) => set({ name: trait.name, values })}
              />
              {readOnly ? null : (
                <ActionIcon
                  variant="default"
                  size="lg"
                  aria-label={words.removeTrait(trait.name)}
                  onClick={() => onChange(withoutTrait(text, trait.name))}
                >
                  <CloseIcon />
                </ActionIcon>
              )}
            </div>
          ))}
          {readOnly ? null : <NewTrait there={fields.traits} onAdd={(name) => set({ name, values: [] })} />}
        </Stack>
      </section>
    </Stack>
  )
}

function NewTrait({ there, onAdd }: { there: readonly Trait[]; onAdd(name: string): void }) {
  const [name, setName] = useState('')
  const [isTried, setTried] = useState(false)
  const problem = traitProblem(name.trim(), there)
  return (
    <form
      className="trait"
      onSubmit={(event) => {
        event.preventDefault()
        setTried(true)
        if (problem !== undefined) return
        onAdd(name.trim())
        setName('')
        setTried(false)
      }}
    >
      <TextInput
        label={words.newTrait}
        description={words.newTraitHint}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={isTried && problem !== undefined ? words.traitProblems[problem] : undefined}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
      />
      <Button type="submit" variant="default">
        {words.addTrait}
      </Button>
    </form>
  )
}
