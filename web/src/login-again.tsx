/** The login in place when a session is over, before whatever dialog was open. */

import { Modal, Text } from '@mantine/core'
import type { WebState } from './api.ts'
import { LoginForm } from './login-form.tsx'
import { text } from './text.ts'

export const LoginAgain = ({ isOver, state, user }: { isOver: boolean; state: WebState; user: string }) => (
  <Modal
    opened={isOver}
    onClose={() => undefined}
    withCloseButton={false}
    closeOnEscape={false}
    closeOnClickOutside={false}
    title={text.login.again}
    centered
    zIndex={400}
  >
    <Text c="dimmed" size="sm" mb="md">
      {text.login.againHint}
    </Text>
    <LoginForm state={state} user={user} />
  </Modal>
)
