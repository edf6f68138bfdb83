/** Recovery codes, shown this once. */

import { Button, Code, Group, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { words } from '../text/account.ts'

export function Codes({ codes, onClose }: { codes: readonly string[]; onClose(): void }) {
  const [copied, setCopied] = useState(false)
  return (
    <Stack gap="md">
      <Text size="sm">{words.keepCodes}</Text>
      <ul className="codes">
        {codes.map((code) => (
          <li key={code}>
            <Code>{code}</Code>
          </li>
        ))}
      </ul>
      <Group>
        <Button
          variant="default"
          onClick={() => void navigator.clipboard.writeText(codes.join('\n')).then(() => setCopied(true))}
        >
          {copied ? words.copied : words.copyCodes}
        </Button>
        <Button onClick={onClose}>{words.close}</Button>
      </Group>
    </Stack>
  )
}
