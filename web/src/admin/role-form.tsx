/** The common fields of a role; everything else of it stays as the YAML says. */

import { Checkbox, Stack, Text, TextInput } from '@mantine/core'
import { adminText } from '../text/admin.ts'
import { fieldsOf, type RoleFields, withFields } from './role-fields.ts'
import { Words } from './users.tsx'

const words = adminText.resources.fields

export function RoleForm(props: { text: string; readOnly: boolean; onChange(text: string): void }) {
  const { text, readOnly } = props
  const fields = fieldsOf(text)
  if (fields === undefined) return <Text className="warn">{adminText.resources.unreadable}</Text>
  const set = (change: Partial<RoleFields>) => props.onChange(withFields(text, change))
  return (
    <Stack gap="sm" className="card padded form">
      <Words
        label={words.logins}
        description={words.loginsHint}
        value={fields.logins}
        known={['{{internal.logins}}']}
        disabled={readOnly}
        onChange={(logins) => set({ logins })}
      />
      <Words
        label={words.labels}
        description={words.labelsHint}
        value={fields.labels}
        disabled={readOnly}
        onChange={(labels) => set({ labels })}
      />
      {fields.rules === undefined ? (
        <Text size="sm" c="dimmed">
          {words.rulesText}
        </Text>
      ) : (
        <Words
          label={words.rules}
          description={words.rulesHint}
          value={fields.rules}
          disabled={readOnly}
          onChange={(rules) => set({ rules })}
        />
      )}
      <TextInput
        label={words.sessionTtl}
        value={fields.sessionTtl}
        disabled={readOnly}
        onChange={(event) => set({ sessionTtl: event.currentTarget.value })}
      />
      {(['forwardAgent', 'portForwarding', 'fileCopy', 'sessionMfa'] as const).map((name) => (
        <Checkbox
          key={name}
          label={words[name]}
          checked={fields[name]}
          disabled={readOnly}
          onChange={(event) => set({ [name]: event.currentTarget.checked })}
        />
      ))}
    </Stack>
  )
}
